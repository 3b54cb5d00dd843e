//! Assertions about errors: a test names the kind of an error and its values, and no sentence.

/// Asserts that an error of `tickless-events` has a problem: the innermost one, without the parts
/// of the file in which it lies. With `at`, the message must begin with a text, which names the
/// file and the byte.
///
/// ```
/// # use tickless_testing::assert_problem;
/// # #[derive(Debug, Clone, PartialEq)]
/// # enum Problem { Twice }
/// # impl Problem { fn innermost(&self) -> &Problem { self } }
/// # #[derive(Debug)]
/// # struct Error(Problem);
/// # impl Error { fn problem(&self) -> Option<&Problem> { Some(&self.0) } }
/// # impl std::fmt::Display for Error {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("a.zip: is there twice") }
/// # }
/// assert_problem!(Error(Problem::Twice), at "a.zip: ", Problem::Twice);
/// ```
#[macro_export]
macro_rules! assert_problem {
    ($error:expr, at $place:expr, $expected:expr $(, $($context:tt)+)?) => {{
        let (error, place) = (&$error, &$place[..]);
        assert!(error.to_string().starts_with(place), "{error} does not begin with {place}");
        $crate::assert_problem!(error, $expected $(, $($context)+)?);
    }};
    ($error:expr, $expected:expr $(,)?) => {{
        let error = &$error;
        let problem = error.problem().map(|problem| problem.innermost().clone());
        assert_eq!(problem, Some($expected.into()), "{error}");
    }};
    ($error:expr, $expected:expr, $($context:tt)+) => {{
        let error = &$error;
        let problem = error.problem().map(|problem| problem.innermost().clone());
        assert_eq!(problem, Some($expected.into()), "{}: {error}", format_args!($($context)+));
    }};
}
