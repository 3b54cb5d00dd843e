#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tickless_fuzz::container("planar-hdf5", bytes));
