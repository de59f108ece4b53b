//! Fuzzes what is signed, and every single change of it: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::signature(bytes));
