//! Downloads one file over HTTP to `NAME.part`, verifies it, and renames it.
//!
//! If a connection breaks, the next request asks for the missing part (`Range: bytes=N-`, with
//! `If-Range` if the server gave a tag). An answer 206 that starts at offset N is appended; an
//! answer 200 contains the whole file and replaces what was received. The lengths that the server
//! states are compared with the published length and with the bytes received, and the checksum
//! decides in the end. Temporary faults (a broken connection, a timeout, 408, 429, 5xx) are retried
//! after a pause that doubles each time. Answers that a retry cannot change (202, 401, 403, 404, a
//! web page) end with an error that tells the user what to do. Source: RFC 9110, sections 13.1.5,
//! 14 and 15.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use ureq::http::{HeaderMap, StatusCode};

use super::sources;
use crate::problem::FetchProblem;
use crate::progress::Progress;
use crate::{Error, Result};

/// Timeouts and the number of retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time limit for resolving the server's name, and again for the connection.
    pub connect: Duration,
    /// Time limit for the next byte.
    pub stall: Duration,
    /// Number of consecutive attempts that may receive no byte.
    pub tries: u32,
    /// Pause before the second attempt; it doubles with each further attempt, up to a minute.
    pub pause: Duration,
}

impl Default for Patience {
    /// 20 s to connect, 30 s for the next byte, 6 attempts, 1 s before the second.
    fn default() -> Patience {
        let s = Duration::from_secs;
        Patience { connect: s(20), stall: s(30), tries: 6, pause: s(1) }
    }
}

/// Number of times that the whole file is fetched if its checksum or length is wrong.
const WHOLE_TRIES: u32 = 3;
/// Total number of attempts, even if each receives some bytes.
const MOST_TRIES: u32 = 1_000;
/// The largest file that is accepted if its length is not published.
const LARGEST: u64 = 256 << 30;
/// Interval at which `progress` is asked whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// The reason why an attempt failed.
enum Fault {
    /// A temporary fault, and the pause that the server asked for.
    Passing(FetchProblem, Option<Duration>),
    /// The received bytes cannot be the beginning of the file, so it must be fetched from the
    /// start.
    Afresh(FetchProblem),
    /// Only the user can solve the problem.
    ByHand(FetchProblem),
    /// An error that ends the download.
    Fatal(Error),
}

/// Downloads `file` from `url` to `path`. Returns the number of bytes that an earlier call had
/// already received.
pub(super) fn download(
    file: &sources::File,
    url: &str,
    path: &Path,
    patience: Patience,
    progress: &dyn Progress,
) -> Result<u64> {
    let part = with_end(path, ".part");
    let io = |source| Error::Io { path: part.clone(), source };
    let handle = tickless_files::open_no_follow(&part).map_err(io)?;
    if handle.try_lock().is_err() {
        let problem = FetchProblem::InUse { part };
        return Err(Error::Fetch { url: shown(url), problem, remedy: "another program is fetching it; wait".into() });
    }
    let tag = with_end(path, ".part.tag");
    let start = handle.metadata().map_err(io)?.len();
    let mut download =
        Download { file, url, path, part: &part, tag, handle, patience, progress, agent: agent(patience, url) };
    let over = AtomicBool::new(false);
    let stop = download.agent.clone();
    std::thread::scope(|scope| {
        // Closing the connection ends a blocking read at once, so that the user need not wait for
        // it.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if progress.cancelled() {
                    stop.clone().shutdown();
                    break;
                }
                std::thread::sleep(TICK.min(patience.stall));
            }
        });
        let done = download.run();
        over.store(true, Ordering::Relaxed);
        progress.finish();
        done
    })?;
    drop(download.handle);
    let _ = fs::remove_file(&download.tag);
    tickless_files::rename(&part, path).map_err(io)?;
    Ok(start)
}

fn agent(patience: Patience, url: &str) -> ureq::Agent {
    let secure = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        // If the URL is https, a redirect to plain http is refused, because others could read and
        // change it.
        .https_only(secure)
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_send_request(Some(patience.stall))
        .timeout_recv_response(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .max_idle_connections(0)
        .user_agent(concat!("tickless/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

struct Download<'a> {
    file: &'a sources::File,
    url: &'a str,
    path: &'a Path,
    part: &'a Path,
    tag: PathBuf,
    handle: File,
    patience: Patience,
    progress: &'a dyn Progress,
    agent: ureq::Agent,
}

impl Download<'_> {
    fn run(&mut self) -> Result<()> {
        let (mut without, mut afresh) = (0, 0);
        self.announce()?;
        for _ in 0..MOST_TRIES {
            let before = self.len()?;
            let whole = self.file.bytes.is_some_and(|bytes| bytes == before);
            let fault = match if whole { Ok(()) } else { self.attempt(before) } {
                Ok(()) => match self.damage()? {
                    None => return Ok(()),
                    Some(fault) => fault,
                },
                Err(fault) => fault,
            };
            if self.progress.cancelled() {
                return Err(self.cancelled());
            }
            match fault {
                Fault::Fatal(error) => return Err(error),
                Fault::ByHand(problem) => return Err(self.by_hand(problem)),
                Fault::Afresh(problem) => {
                    afresh += 1;
                    if afresh >= WHOLE_TRIES {
                        return Err(self.by_hand(problem.repeated(afresh, false)));
                    }
                    self.progress.line(&format!("{}: {problem}; fetching it afresh", self.file.name));
                    self.empty()?;
                    self.pause(self.patience.pause);
                }
                Fault::Passing(problem, wait) => {
                    let now = self.len()?;
                    // The server may have announced more bytes than the file has, although the file
                    // is complete.
                    if now > 0 && self.file.bytes.is_none_or(|bytes| bytes == now) && self.damage()?.is_none() {
                        return Ok(());
                    }
                    without = if now > before { 0 } else { without + 1 };
                    if without >= self.patience.tries {
                        return Err(self.by_hand(problem.repeated(without, true)));
                    }
                    self.progress.line(&format!("{}: {problem}; trying again", self.file.name));
                    let pause = self.patience.pause * (1 << without.min(6));
                    self.pause(wait.unwrap_or(pause).min(Duration::from_secs(60)));
                }
            }
        }
        Err(self.by_hand(FetchProblem::AlwaysBroke { connections: MOST_TRIES }))
    }

    /// Requests what follows the first `before` bytes, and appends it to the file.
    fn attempt(&mut self, before: u64) -> Result<(), Fault> {
        let mut request = self.agent.get(self.url).header("Accept-Encoding", "identity");
        if before > 0 {
            request = request.header("Range", format!("bytes={before}-"));
            if let Some(tag) = self.tag() {
                request = request.header("If-Range", tag.trim());
            }
        }
        let mut response = request.call().map_err(fault)?;
        let (status, headers) = (response.status(), response.headers());
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        if status.is_success() && text("content-type").is_some_and(|t| t.to_ascii_lowercase().starts_with("text/html"))
        {
            return Err(Fault::ByHand(FetchProblem::WebPage));
        }
        let mut at = 0;
        match status {
            StatusCode::OK => {
                self.keep_tag(headers);
                let claimed: Option<u64> = text("content-length").and_then(|l| l.parse().ok());
                if let (Some(claimed), Some(bytes)) = (claimed, self.file.bytes)
                    && claimed > bytes
                {
                    return Err(Fault::Afresh(FetchProblem::ServerSize { found: claimed, expected: bytes }));
                }
                self.empty().map_err(Fault::Fatal)?;
            }
            StatusCode::PARTIAL_CONTENT => {
                at = before;
                let (start, total) = text("content-range").and_then(content_range).unwrap_or((u64::MAX, None));
                let differs = total.zip(self.file.bytes).is_some_and(|(total, bytes)| total != bytes);
                if start != before || differs {
                    return Err(Fault::Afresh(FetchProblem::OtherPart));
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if before > 0 => return Ok(()),
            _ => {
                let passes = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
                let problem = FetchProblem::Status { status: status.to_string() };
                return Err(match passes || status.is_server_error() {
                    true => Fault::Passing(problem, retry_after(headers)),
                    false => Fault::ByHand(problem),
                });
            }
        }
        let body = response.body_mut().with_config().limit(u64::MAX).reader();
        self.append(body, at)
    }

    fn append(&mut self, mut body: impl Read, mut at: u64) -> Result<(), Fault> {
        let io = |path: &Path, source| Fault::Fatal(Error::Io { path: path.into(), source });
        self.handle.seek(SeekFrom::Start(at)).map_err(|e| io(self.part, e))?;
        let limit = self.file.bytes.unwrap_or(LARGEST);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(fault(ureq::Error::from(e))),
            };
            at += n as u64;
            if at > limit {
                return Err(Fault::Afresh(FetchProblem::TooLong { limit }));
            }
            self.handle.write_all(&buffer[..n]).map_err(|e| io(self.part, e))?;
            self.progress.advance(n as u64, "");
        }
        Ok(())
    }

    /// Verifies the received bytes after the last one; returns what is wrong with them, if
    /// anything.
    fn damage(&mut self) -> Result<Option<Fault>> {
        let len = self.len()?;
        match self.file.bytes {
            Some(expected) if len < expected => {
                return Ok(Some(Fault::Passing(FetchProblem::Ended { found: len, expected }, None)));
            }
            Some(expected) if len > expected => {
                return Ok(Some(Fault::Afresh(FetchProblem::Size { found: len, expected })));
            }
            _ => {}
        }
        let io = |source| Error::Io { path: self.part.into(), source };
        self.handle.sync_data().map_err(io)?;
        self.handle.rewind().map_err(io)?;
        let md5 = md5_of(&mut self.handle, self.progress).map_err(|e| match self.progress.cancelled() {
            true => self.cancelled(),
            false => Error::Io { path: self.part.into(), source: e },
        })?;
        let expected = self.file.md5;
        Ok((md5 != expected).then_some(Fault::Afresh(FetchProblem::Checksum { bytes: len, found: md5, expected })))
    }

    /// Discards all received bytes.
    fn empty(&mut self) -> Result<()> {
        if self.len()? > 0 {
            self.handle.set_len(0).map_err(|source| Error::Io { path: self.part.into(), source })?;
            self.progress.finish();
            self.announce()?;
        }
        Ok(())
    }

    fn announce(&self) -> Result<()> {
        self.progress.start(&format!("fetching {}", self.file.name), self.file.bytes.unwrap_or(0), "byte");
        match self.len()? {
            0 => {}
            len => self.progress.advance(len, "already here"),
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        let metadata = self.handle.metadata();
        metadata.map(|m| m.len()).map_err(|source| Error::Io { path: self.part.into(), source })
    }

    /// Stores what identifies this version of the file on the server: a strong tag, or else the
    /// modification time.
    fn keep_tag(&self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let tag = text("etag").filter(|t| t.starts_with('"')).or_else(|| text("last-modified"));
        // If it cannot be stored, the checksum still detects a file that is composed of two
        // versions.
        let _ = match tag {
            Some(tag) => tickless_files::write(&self.tag, tag.as_bytes()),
            None => fs::remove_file(&self.tag),
        };
    }

    /// The tag that [`Self::keep_tag`] stored. A symbolic link of that name is not followed,
    /// because somebody else may have put it there.
    fn tag(&self) -> Option<String> {
        let kept = fs::symlink_metadata(&self.tag).is_ok_and(|m| m.is_file() && m.len() < 1 << 10);
        if kept { fs::read_to_string(&self.tag).ok() } else { None }
    }

    fn pause(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.progress.cancelled() && Instant::now() < end {
            std::thread::sleep(TICK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled { what: format!("fetching {}", self.file.name) }
    }

    fn by_hand(&self, problem: FetchProblem) -> Error {
        let path = self.path.display();
        let remedy = format!(
            "try later, name a mirror, or open that address in a browser, save the file as {path} and run this \
             again: it is checked and used from there"
        );
        let url = shown(self.url);
        Error::Fetch { problem: problem.with_url(self.url, &url), url, remedy }
    }
}

/// The URL without the user name and password that it may contain.
pub(super) fn shown(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}…@{}", &url[..start], &url[start + at + 1..]),
        None => url.into(),
    }
}

/// Whether the cause is the server's certificate; a retry cannot change that.
fn is_of_certificate(e: &io::Error) -> bool {
    let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    tls.is_some_and(|e| {
        use rustls::Error as T;
        matches!(e, T::InvalidCertificate(_) | T::NoCertificatesPresented | T::UnsupportedNameType)
    })
}

/// Classifies an error of the connection.
fn fault(error: ureq::Error) -> Fault {
    use ureq::Error as E;
    match error {
        E::RequireHttpsOnly(_) => Fault::ByHand(FetchProblem::LeadsToPlain),
        E::Io(e) if is_of_certificate(&e) => Fault::ByHand(FetchProblem::NotSecure { reason: e.to_string() }),
        E::Timeout(_) => Fault::Passing(FetchProblem::NoAnswer, None),
        E::BadUri(_) | E::Http(_) | E::InvalidProxyUrl => {
            Fault::ByHand(FetchProblem::Request { reason: error.to_string() })
        }
        E::TooManyRedirects | E::RedirectFailed => Fault::ByHand(FetchProblem::Redirect { reason: error.to_string() }),
        E::Tls(_) | E::Rustls(_) | E::Pem(_) => Fault::ByHand(FetchProblem::NotSecure { reason: error.to_string() }),
        E::Io(e) if e.kind() == io::ErrorKind::TimedOut => Fault::Passing(FetchProblem::NoByte, None),
        _ => Fault::Passing(FetchProblem::Broke { reason: error.to_string() }, None),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get("retry-after")?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Parses `bytes A-B/N` into A and N; N may be unknown.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The MD5 of everything that `from` still contains, in hexadecimal. Returns an error if the user
/// asks to stop.
pub(super) fn md5_of(from: &mut impl Read, progress: &dyn Progress) -> io::Result<String> {
    let (mut md5, mut buffer) = (Md5::new(), vec![0; 1 << 16]);
    loop {
        if progress.cancelled() {
            return Err(io::Error::other("stopped"));
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => md5.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(md5.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// The path with `end` appended to its file name.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes", "bytes */10", "5-9/10", "bytes x-9/10", "bytes 5/10"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(shown("https://me:secret@host/a/b?c"), "https://…@host/a/b?c");
        assert_eq!(shown("http://me:p@ss@host"), "http://…@host");
        assert_eq!(shown("me:secret@host/x"), "…@host/x");
        for plain in ["https://host/a@b", "http://host?x=a@b", "host", ""] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn https_stays_https() {
        for (url, secure) in [("https://a/b", true), ("HTTPS://a", true), ("http://a/b", false), ("a", false)] {
            assert_eq!(agent(Patience::default(), url).config().https_only(), secure, "{url}");
        }
        let led_away = fault(ureq::Error::RequireHttpsOnly("http://a".into()));
        assert!(matches!(led_away, Fault::ByHand(FetchProblem::LeadsToPlain)));
    }

    #[test]
    fn md5_is_that_of_the_standard() {
        assert_eq!(md5_of(&mut &b"abc"[..], &crate::progress::Silent).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
    }
}
