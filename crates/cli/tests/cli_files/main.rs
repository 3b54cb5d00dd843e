//! The files that commands write. They are complete or absent, also with two writers, a full disk,
//! a kill or a stop. They never replace anything but a regular file, and they may have any name.
#![cfg(unix)]

mod kills;
mod limits;
mod memory;
mod names;
mod targets;

use tickless_testing::command::Scratch;

/// `n` events in EVT3 of a 34x34 sensor: three words per event, 16 events per microsecond.
pub fn evt3(n: usize) -> Vec<u8> {
    let mut bytes = b"% evt 3.0\n% format EVT3;height=34;width=34\n% geometry 34x34\n% end\n".to_vec();
    for i in 0..n {
        if i % (1 << 16) == 0 {
            bytes.extend((0x8000 | (i >> 16) as u16 & 0xFFF).to_le_bytes());
        }
        let (low, y, x) = ((i >> 4) as u16 & 0xFFF, (i * 7 % 34) as u16, (i * 13 % 34) as u16);
        for word in [0x6000 | low, y, 0x2000 | (i as u16 & 1) << 11 | x] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes
}

/// The sorted names of the entries in the scratch folder.
pub fn names(scratch: &Scratch) -> Vec<String> {
    let entries = std::fs::read_dir(scratch.path()).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Creates a named pipe.
pub fn fifo(scratch: &Scratch, name: &str) {
    let made = std::process::Command::new("mkfifo").arg(scratch.at(name)).status();
    assert!(made.is_ok_and(|s| s.success()), "mkfifo is there on every Unix");
}
