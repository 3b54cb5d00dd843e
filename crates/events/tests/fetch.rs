//! Fetching from a server that breaks off, stalls, lies and corrupts, and archives that attack.

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
