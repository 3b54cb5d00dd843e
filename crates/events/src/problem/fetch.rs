//! The problems of fetching a published file.

use std::path::PathBuf;

/// Why a published file could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchProblem {
    /// Another program writes the partial file.
    #[error("{} is in use", part.display())]
    InUse {
        /// The partial file.
        part: PathBuf,
    },
    /// A problem that repeating the request did not solve.
    #[error("{problem}, {times} times{}", if *in_a_row { " in a row" } else { "" })]
    Repeated {
        /// The problem of the last request.
        problem: Box<FetchProblem>,
        /// The number of requests that had a problem.
        times: u32,
        /// Whether no request between them received a byte.
        in_a_row: bool,
    },
    /// No answer came in time.
    #[error("no answer in time")]
    NoAnswer,
    /// The server stopped sending.
    #[error("no byte in time")]
    NoByte,
    /// The connection broke.
    #[error("the connection broke ({reason})")]
    Broke {
        /// The reason.
        reason: String,
    },
    /// Too many connections broke after some bytes.
    #[error("{connections} connections broke")]
    AlwaysBroke {
        /// The number of connections.
        connections: u32,
    },
    /// No secure connection was made.
    #[error("no secure connection ({reason})")]
    NotSecure {
        /// The reason.
        reason: String,
    },
    /// A server of an https address leads to an address without encryption.
    #[error("the server leads from https to an address that is not secure")]
    LeadsToPlain,
    /// The server leads to too many other addresses.
    #[error("{reason}")]
    Redirect {
        /// The reason.
        reason: String,
    },
    /// The request is not possible.
    #[error("{reason}")]
    Request {
        /// The reason.
        reason: String,
    },
    /// The server answers with an error.
    #[error("the server answers {status}")]
    Status {
        /// The status code with its name.
        status: String,
    },
    /// The server answers with a web page.
    #[error("the answer is a web page and not the file")]
    WebPage,
    /// The server states another size than the published file has.
    #[error("the server has {found} bytes, expected {expected}")]
    ServerSize {
        /// The size that the server states, in bytes.
        found: u64,
        /// The size of the published file in bytes.
        expected: u64,
    },
    /// The server sends another part of the file than the one that was requested.
    #[error("the server continues at another place")]
    OtherPart,
    /// The server ends before the file does.
    #[error("the server ended after {found} of {expected} bytes")]
    Ended {
        /// The number of bytes received.
        found: u64,
        /// The size of the published file in bytes.
        expected: u64,
    },
    /// The server sends more bytes than the published file has.
    #[error("more than the {limit} bytes of the published file come")]
    TooLong {
        /// The size of the published file, or the largest accepted size, in bytes.
        limit: u64,
    },
    /// The received file is longer than the published one.
    #[error("{found} bytes, expected {expected}")]
    Size {
        /// The number of bytes received.
        found: u64,
        /// The size of the published file in bytes.
        expected: u64,
    },
    /// The received bytes are not those of the published file.
    #[error("{bytes} bytes of md5 {found}, expected {expected}")]
    Checksum {
        /// The number of bytes received.
        bytes: u64,
        /// Their MD5 checksum in hexadecimal.
        found: String,
        /// The published MD5 checksum in hexadecimal.
        expected: &'static str,
    },
}

impl FetchProblem {
    /// The same problem after `times` requests.
    #[cfg(feature = "download")]
    pub(crate) fn repeated(self, times: u32, in_a_row: bool) -> FetchProblem {
        FetchProblem::Repeated { problem: Box::new(self), times, in_a_row }
    }

    /// The same problem with `shown` for `url`, which some reasons quote.
    #[cfg(feature = "download")]
    pub(crate) fn with_url(mut self, url: &str, shown: &str) -> FetchProblem {
        match &mut self {
            FetchProblem::Repeated { problem, .. } => {
                let inner = std::mem::replace(&mut **problem, FetchProblem::NoAnswer);
                **problem = inner.with_url(url, shown);
            }
            FetchProblem::Broke { reason }
            | FetchProblem::NotSecure { reason }
            | FetchProblem::Redirect { reason }
            | FetchProblem::Request { reason } => *reason = reason.replace(url, shown),
            _ => {}
        }
        self
    }

    /// The problem of the last request.
    pub fn last(&self) -> &FetchProblem {
        match self {
            FetchProblem::Repeated { problem, .. } => problem.last(),
            problem => problem,
        }
    }
}
