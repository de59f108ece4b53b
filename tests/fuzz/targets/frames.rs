//! Fuzzes the headers of a client's WebSocket frames: see the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gema_fuzz::frames(bytes));
