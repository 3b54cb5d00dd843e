//! Tests each fault of the network or of the server, one test per fault.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Instant;
use tickless_testing::hang::HUNG_AFTER;

use tickless_events::Error;
use tickless_events::fetch::{self, Fetched, How, Presence, Then, fetch};
use tickless_events::problem::FetchProblem;
use tickless_events::progress::{Progress, Silent};

use super::server::{Server, body, send, serve, source};

const LENGTH: usize = 300_000;

/// Downloads one file of `body`, with its length known or unknown, and verifies the result.
fn fetched(server: &Server, known: bool, what: &str) -> How {
    let folder = tempfile::tempdir().unwrap();
    let body = body(LENGTH);
    let source = source("a.bin", &body, known, Then::Keep);
    let files = fetch(&source, folder.path(), &server.options(), &Silent).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(std::fs::read(folder.path().join("a.bin")).unwrap() == body, "{what}");
    assert_eq!(names(folder.path()), ["a.bin"], "{what}");
    // A file that is present and correct is not downloaded again.
    let before = server.requests().len();
    let again = fetch(&source, folder.path(), &server.options(), &Silent).unwrap();
    assert_eq!(again, [Fetched { name: "a.bin", how: How::Found }]);
    assert_eq!(server.requests().len(), before, "{what}");
    files[0].how
}

/// Expects a failed download, which must leave no file under the final name.
fn failed(server: &Server, known: bool) -> FetchProblem {
    let folder = tempfile::tempdir().unwrap();
    let source = source("a.bin", &body(LENGTH), known, Then::Keep);
    let error = fetch(&source, folder.path(), &server.options(), &Silent).unwrap_err();
    let path = folder.path().join("a.bin");
    assert!(!path.exists());
    let (url, path) = (&server.url, path.display().to_string());
    assert!(error.to_string().starts_with(url) && error.to_string().contains(&path), "{error}");
    match error {
        Error::Fetch { url: of, problem, remedy } if of.starts_with(url) && remedy.contains(&path) => problem,
        other => panic!("{other}"),
    }
}

/// The problem after `times` requests that had it.
fn repeated(problem: FetchProblem, times: u32, in_a_row: bool) -> FetchProblem {
    FetchProblem::Repeated { problem: Box::new(problem), times, in_a_row }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_right_server_is_asked_once_for_the_file_by_its_name() {
    for known in [true, false] {
        let server = Server::new(|_, request, stream| serve(stream, request, &body(LENGTH)));
        assert_eq!(fetched(&server, known, "right"), How::Downloaded { resumed: 0 });
        let requests = server.requests();
        assert_eq!((requests.len(), requests[0].path.as_str(), requests[0].from), (1, "/a.bin", None));
    }
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    for known in [true, false] {
        let server = Server::new(|n, request, stream| {
            let (body, from) = (body(LENGTH), request.from.unwrap_or(0));
            // Three connections send a quarter of the file each.
            let end = if n < 3 { from + LENGTH / 4 } else { LENGTH };
            let status = match from {
                0 => "200 OK\r\nETag: \"one\"".into(),
                _ => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{LENGTH}", LENGTH - 1),
            };
            send(stream, &format!("{status}\r\nContent-Length: {}", LENGTH - from), &body[from..end]);
        });
        fetched(&server, known, "broken");
        let requests = server.requests();
        let asked: Vec<_> = requests.iter().map(|r| r.from).collect();
        assert_eq!(asked, [None, Some(LENGTH / 4), Some(LENGTH / 2), Some(3 * LENGTH / 4)]);
        assert!(requests[1..].iter().all(|r| r.if_range.as_deref() == Some("\"one\"")));
    }
}

#[test]
fn a_second_call_goes_on_where_the_first_one_ended() {
    let server = Server::new(|_, request, stream| serve(stream, request, &body(LENGTH)));
    let folder = tempfile::tempdir().unwrap();
    let source = source("a.bin", &body(LENGTH), true, Then::Keep);
    std::fs::write(folder.path().join("a.bin.part"), &body(LENGTH)[..1000]).unwrap();
    assert_eq!(fetch::status(&source, folder.path())[0].1, Presence::Partial { bytes: 1000 });
    let files = fetch(&source, folder.path(), &server.options(), &Silent).unwrap();
    assert_eq!(files[0].how, How::Downloaded { resumed: 1000 });
    assert_eq!(server.requests()[0].from, Some(1000));
    assert_eq!(fetch::status(&source, folder.path())[0].1, Presence::There);
    // A partial file may already contain all bytes.
    std::fs::rename(folder.path().join("a.bin"), folder.path().join("a.bin.part")).unwrap();
    fetch(&source, folder.path(), &server.options(), &Silent).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_stalls_is_left_and_asked_again() {
    for in_head in [true, false] {
        let server = Server::new(move |n, request, stream| {
            if n > 0 {
                return serve(stream, request, &body(LENGTH));
            }
            if !in_head {
                send(stream, &format!("200 OK\r\nContent-Length: {LENGTH}"), &body(LENGTH)[..70_000]);
            }
            sleep(2 * HUNG_AFTER);
        });
        let start = Instant::now();
        fetched(&server, true, "stalled");
        assert!(start.elapsed() < HUNG_AFTER, "{:?}", start.elapsed());
        assert_eq!(server.requests()[1].from, (!in_head).then_some(70_000));
    }
}

#[test]
fn a_server_that_always_stalls_is_given_up() {
    let server = Server::new(|_, _, _| sleep(2 * HUNG_AFTER));
    let start = Instant::now();
    let no_answer = [FetchProblem::NoAnswer, FetchProblem::NoByte].map(|problem| repeated(problem, 4, true));
    let problem = failed(&server, true);
    assert!(no_answer.contains(&problem), "{problem}");
    assert!(start.elapsed() < HUNG_AFTER, "{:?}", start.elapsed());
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_length_that_is_too_large_or_too_small_does_no_harm() {
    // The header states a larger length than the file has: the file is complete when the connection
    // ends.
    let server = Server::new(|_, _, stream| {
        send(stream, &format!("200 OK\r\nContent-Length: {}", LENGTH + 500), &body(LENGTH));
    });
    fetched(&server, false, "too large a length");
    // The header states a smaller length: the client requests the rest, because it knows the
    // length.
    let server = Server::new(|n, request, stream| match n {
        0 => send(stream, "200 OK\r\nContent-Length: 1000", &body(LENGTH)),
        _ => serve(stream, request, &body(LENGTH)),
    });
    fetched(&server, true, "too small a length");
    assert_eq!(server.requests()[1].from, Some(1000));
    // If the length is unknown, the checksum detects the missing bytes.
    let server = Server::new(|_, _, stream| send(stream, "200 OK\r\nContent-Length: 1000", &body(LENGTH)));
    let problem = failed(&server, false);
    assert!(matches!(problem.last(), FetchProblem::Checksum { bytes: 1000, .. }), "{problem}");
    let server = Server::new(|_, _, stream| {
        send(stream, &format!("200 OK\r\nContent-Length: {}", LENGTH + 1), &body(LENGTH + 1));
    });
    let size = FetchProblem::ServerSize { found: 300_001, expected: 300_000 };
    assert_eq!(failed(&server, true), repeated(size, 3, false));
}

#[test]
fn a_body_without_a_length_is_taken_and_an_endless_one_is_not() {
    let server = Server::new(|_, _, stream| send(stream, "200 OK", &body(LENGTH)));
    fetched(&server, false, "no length");
    let server = Server::new(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(&[&b"10000\r\n"[..], &[0; 0x10000], b"\r\n"].concat()).is_ok() {}
    });
    assert_eq!(failed(&server, true).last(), &FetchProblem::TooLong { limit: 300_000 });
}

#[test]
fn corrupt_bytes_are_fetched_afresh_and_at_last_refused() {
    let corrupt = || {
        let mut body = body(LENGTH);
        body[LENGTH / 2] ^= 1;
        body
    };
    for known in [true, false] {
        let server = Server::new(move |n, request, stream| match n {
            0 => serve(stream, request, &corrupt()),
            _ => serve(stream, request, &body(LENGTH)),
        });
        fetched(&server, known, "corrupt once");
        assert_eq!(server.requests()[1].from, None);
        let server = Server::new(move |_, request, stream| serve(stream, request, &corrupt()));
        let problem = failed(&server, known);
        assert!(matches!(problem.last(), FetchProblem::Checksum { bytes: 300_000, .. }), "{problem}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn a_server_that_ignores_ranges_gives_the_whole_file_again() {
    for known in [true, false] {
        let server = Server::new(|n, _, stream| {
            let end = if n == 0 { LENGTH / 3 } else { LENGTH };
            send(stream, &format!("200 OK\r\nContent-Length: {LENGTH}"), &body(LENGTH)[..end]);
        });
        fetched(&server, known, "no ranges");
        assert_eq!(server.requests()[1].from, Some(LENGTH / 3));
    }
}

#[test]
fn a_range_of_another_place_is_not_appended() {
    for range in [format!("bytes 0-{}/{LENGTH}", LENGTH - 1), "bytes 100000-299999/999999".into(), "nonsense".into()] {
        let server = Server::new(move |n, request, stream| match n {
            0 => send(stream, &format!("200 OK\r\nContent-Length: {LENGTH}"), &body(LENGTH)[..100_000]),
            1 => send(stream, &format!("206 Partial Content\r\nContent-Range: {range}"), &body(LENGTH)),
            _ => serve(stream, request, &body(LENGTH)),
        });
        fetched(&server, true, "another place");
        assert_eq!(server.requests().last().unwrap().from, None);
    }
}

#[test]
fn redirects_are_followed_and_keep_the_range() {
    let server = Server::new(|n, request, stream| match (request.path.as_str(), n) {
        ("/a.bin", _) => send(stream, "302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0", b""),
        (_, 1) => send(stream, &format!("200 OK\r\nContent-Length: {LENGTH}"), &body(LENGTH)[..50_000]),
        _ => serve(stream, request, &body(LENGTH)),
    });
    fetched(&server, true, "redirected");
    let asked: Vec<_> = server.requests().iter().map(|r| (r.path.clone(), r.from)).collect();
    let (a, b) = (|from| ("/a.bin".to_owned(), from), |from| ("/elsewhere".to_owned(), from));
    assert_eq!(asked, [a(None), b(None), a(Some(50_000)), b(Some(50_000))]);
    let server = Server::new(|_, _, stream| send(stream, "302 Found\r\nLocation: /a.bin\r\nContent-Length: 0", b""));
    let problem = failed(&server, true);
    assert!(matches!(problem, FetchProblem::Redirect { .. }), "{problem}");
}

#[test]
fn answers_for_people_say_what_to_do_by_hand() {
    for head in
        ["202 Accepted", "401 Unauthorized", "403 Forbidden", "404 Not Found", "200 OK\r\nContent-Type: text/html"]
    {
        let server = Server::new(move |_, _, stream| send(stream, &format!("{head}\r\nContent-Length: 5"), b"hello"));
        match failed(&server, true) {
            FetchProblem::Status { status } => assert_eq!(status, head),
            problem => assert_eq!(problem, FetchProblem::WebPage, "{head}"),
        }
        assert_eq!(server.requests().len(), 1, "{head}");
    }
}

#[test]
fn faults_of_the_server_pass_or_do_not() {
    for head in
        ["500 Internal Server Error", "503 Unavailable\r\nRetry-After: 0", "429 Too Many Requests", "408 Timeout"]
    {
        let server = Server::new(move |n, request, stream| match n {
            0..2 => send(stream, &format!("{head}\r\nContent-Length: 0"), b""),
            _ => serve(stream, request, &body(LENGTH)),
        });
        fetched(&server, true, head);
        assert_eq!(server.requests().len(), 3);
        let server = Server::new(move |_, _, stream| send(stream, &format!("{head}\r\nContent-Length: 0"), b""));
        let problem = failed(&server, true);
        let FetchProblem::Status { status } = problem.last() else { panic!("{problem}") };
        assert_eq!(status[..3], head[..3], "{problem}");
        assert_eq!(server.requests().len(), 4);
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let server = Server::new(|_, _, _| ());
    let mut options = server.options();
    options.mirror = Some("http://127.0.0.1:1/".into());
    let folder = tempfile::tempdir().unwrap();
    let source = source("a.bin", b"abc", true, Then::Keep);
    let refused = |options: &fetch::Options| match fetch(&source, folder.path(), options, &Silent).unwrap_err() {
        Error::Fetch { url, problem, .. } if matches!(problem.last(), FetchProblem::Broke { .. }) => url,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&options), "http://127.0.0.1:1/a.bin");
    // Without a mirror, the official URL is requested.
    options.mirror = None;
    assert_eq!(refused(&options), "http://127.0.0.1:1/nobody");
}

/// Counts bytes, and asks to stop after some of them.
#[derive(Default)]
struct Watch {
    bytes: AtomicU64,
    total: AtomicU64,
    stop_at: Option<u64>,
    stopped: AtomicBool,
}

impl Progress for Watch {
    fn start(&self, task: &str, total: u64, unit: &str) {
        assert_eq!((task, unit), ("fetching a.bin", "byte"));
        self.total.store(total, Ordering::Relaxed);
    }

    fn advance(&self, n: u64, _: &str) {
        let bytes = self.bytes.fetch_add(n, Ordering::Relaxed) + n;
        self.stopped.fetch_or(self.stop_at.is_some_and(|stop| bytes >= stop), Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

#[test]
fn progress_counts_bytes_up_to_the_total() {
    let server = Server::new(|_, request, stream| serve(stream, request, &body(LENGTH)));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.bin.part"), &body(LENGTH)[..1000]).unwrap();
    let watch = Watch::default();
    fetch(&source("a.bin", &body(LENGTH), true, Then::Keep), folder.path(), &server.options(), &watch).unwrap();
    assert_eq!((watch.bytes.into_inner(), watch.total.into_inner()), (LENGTH as u64, LENGTH as u64));
}

#[test]
fn a_stop_ends_even_a_read_that_blocks_and_keeps_what_came() {
    let server = Server::new(|n, request, stream| match n {
        0 => {
            send(stream, &format!("200 OK\r\nContent-Length: {LENGTH}"), &body(LENGTH)[..60_000]);
            sleep(2 * HUNG_AFTER);
        }
        _ => serve(stream, request, &body(LENGTH)),
    });
    let folder = tempfile::tempdir().unwrap();
    let source = source("a.bin", &body(LENGTH), true, Then::Keep);
    let mut options = server.options();
    options.patience.stall = 2 * HUNG_AFTER;
    let start = Instant::now();
    let watch = Watch { stop_at: Some(60_000), ..Watch::default() };
    let error = fetch(&source, folder.path(), &options, &watch).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(start.elapsed() < HUNG_AFTER, "{:?}", start.elapsed());
    let files = fetch(&source, folder.path(), &options, &Silent).unwrap();
    assert_eq!(files[0].how, How::Downloaded { resumed: 60_000 });
}

#[test]
fn a_wrong_file_of_that_name_is_fetched_again_and_a_second_program_waits() {
    let server = Server::new(|_, request, stream| serve(stream, request, &body(LENGTH)));
    let folder = tempfile::tempdir().unwrap();
    let source = source("a.bin", &body(LENGTH), true, Then::Keep);
    std::fs::write(folder.path().join("a.bin"), b"something else").unwrap();
    assert_eq!(fetch::status(&source, folder.path())[0].1, Presence::Damaged);
    let locked = std::fs::File::create(folder.path().join("a.bin.part")).unwrap();
    locked.lock().unwrap();
    let error = fetch(&source, folder.path(), &server.options(), &Silent).unwrap_err();
    let Error::Fetch { problem: FetchProblem::InUse { part }, .. } = &error else { panic!("{error}") };
    assert!(part.ends_with("a.bin.part"), "{error}");
    drop(locked);
    fetch(&source, folder.path(), &server.options(), &Silent).unwrap();
    assert!(std::fs::read(folder.path().join("a.bin")).unwrap() == body(LENGTH));
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = fetch::source("imagenet").unwrap_err();
    let Error::UnknownDataset { name, known } = &error else { panic!("{error}") };
    assert!(name == "imagenet" && known.contains("cifar10-dvs"), "{error}");
}
