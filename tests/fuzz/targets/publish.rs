//! Fuzzes the body of a request that publishes: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::publish(bytes));
