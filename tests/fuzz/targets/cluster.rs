//! Fuzzes what servers read out of Redis: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::cluster(bytes));
