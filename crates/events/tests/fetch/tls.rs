//! If no known authority has signed the server's certificate, the download fails after the first
//! attempt.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::PrivateKeyDer;
use tickless_events::Error;
use tickless_events::fetch::{Options, Then, fetch};
use tickless_events::problem::FetchProblem;
use tickless_events::progress::Silent;

use super::server::{Server, body, source};

#[test]
fn an_invalid_certificate_is_not_tried_again() {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let tries = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let tries = tries.clone();
        move || {
            for stream in listener.incoming() {
                tries.fetch_add(1, Ordering::SeqCst);
                let mut server = rustls::ServerConnection::new(config.clone()).unwrap();
                let _ = server.complete_io(&mut stream.unwrap());
            }
        }
    });
    // The same timeouts as in the other tests.
    let patience = Server::new(|_, _, _| {}).options().patience;
    let mirror = Some(format!("https://me:secret@localhost:{port}/files"));
    let folder = tempfile::tempdir().unwrap();
    let options = Options { mirror, patience, ..Options::default() };
    let source = source("a.bin", &body(100), true, Then::Keep);
    let error = fetch(&source, folder.path(), &options, &Silent).unwrap_err();
    let Error::Fetch { problem: FetchProblem::NotSecure { reason }, url, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("certificate"), "{error}");
    assert_eq!(url, &format!("https://…@localhost:{port}/files/a.bin"));
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(tries.load(Ordering::SeqCst), 1);
}
