//! Tests properties that hold for every format of events, and the reading of real recordings.

#[path = "formats/golden.rs"]
mod golden;
#[path = "formats/hostile.rs"]
mod hostile;
#[path = "formats/laws.rs"]
mod laws;
#[path = "formats/samples.rs"]
mod samples;
