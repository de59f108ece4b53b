//! Fuzzes the name of a channel: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::channel_name(bytes));
