//! Tests downloads from a server that disconnects, stalls, sends wrong data and wrong headers, and
//! tests malicious archives.

#[path = "fetch/archives.rs"]
mod archives;
#[path = "fetch/network.rs"]
mod network;
#[path = "fetch/processes.rs"]
mod processes;
#[path = "fetch/server.rs"]
mod server;
#[path = "fetch/tls.rs"]
mod tls;
