#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tickless_fuzz::stream("aedat1", bytes));
