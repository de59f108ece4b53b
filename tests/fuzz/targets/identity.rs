//! Fuzzes who a presence channel or a sign-in is told somebody is: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::identity(bytes));
