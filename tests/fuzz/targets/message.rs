//! Fuzzes a text message of a client: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::message(bytes));
