//! Parses the header of a NumPy array: a dictionary in Python syntax with the keys `descr` (a type
//! such as `<f8`, or a list of fields), `fortran_order` and `shape`.
//!
//! A field is (name, type) or (name, type, shape); a name may be a pair (title, name).

use crate::formats::values::Number;
use crate::problem::{ArrayProblem, HeaderSyntax, Problem};

/// The content of a header.
#[derive(Debug, PartialEq)]
pub struct Header {
    pub kind: Kind,
    pub fortran: bool,
    pub shape: Vec<u64>,
}

/// The type of an element.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// A number.
    Plain(Number),
    /// Fields, and the size of an element in bytes.
    Fields(Vec<Field>, usize),
}

/// A field of a structured array.
#[derive(Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub offset: usize,
    /// The type; `None` if the field is not a single number.
    pub number: Option<Number>,
}

/// Parses a header; the error states what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Header, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the header is no text")?;
    let mut parser = Parser { text, rest: text.trim_start() };
    let Value::Dictionary(entries) = parser.value(0)? else { return Err("the header is no dictionary".into()) };
    if !parser.rest.trim().is_empty() {
        return Err(format!("`{}` behind the header", shortened(parser.rest)).into());
    }
    let find = |key: &str| {
        let found = entries.iter().find(|(k, _)| *k == Value::Text(key.into()));
        found.map(|(_, v)| v).ok_or_else(|| Problem::from(format!("the header has no `{key}`")))
    };
    let kind = match find("descr")? {
        Value::Text(text) => {
            let (number, _) = datatype(text)?;
            Kind::Plain(number.ok_or_else(|| ArrayProblem::NoNumbers { name: text.clone() })?)
        }
        Value::Sequence(fields) => fields_of(fields)?,
        _ => return Err("`descr` is neither a type nor a list of fields".into()),
    };
    let Value::Name(fortran @ ("True" | "False")) = *find("fortran_order")? else {
        return Err("`fortran_order` is neither True nor False".into());
    };
    Ok(Header { kind, fortran: fortran == "True", shape: shape(find("shape")?)? })
}

fn shape(value: &Value) -> Result<Vec<u64>, Problem> {
    let Value::Sequence(sizes) = value else { return Err("the shape is no tuple".into()) };
    let size = |v: &Value| match v {
        Value::Number(n) => Ok(*n),
        _ => Err("a size in the shape is no number".into()),
    };
    sizes.iter().map(size).collect()
}

fn fields_of(values: &[Value]) -> Result<Kind, Problem> {
    let (mut fields, mut offset) = (Vec::new(), 0usize);
    for value in values {
        let (name, text, times) = match value {
            Value::Sequence(parts) => match &parts[..] {
                [name, Value::Text(text)] => (name, text, None),
                [name, Value::Text(text), times] => (name, text, Some(times)),
                _ => return Err(ArrayProblem::NoFieldSyntax.into()),
            },
            _ => return Err(ArrayProblem::NoFieldSyntax.into()),
        };
        let name = match name {
            Value::Text(name) => name,
            Value::Sequence(pair) => match &pair[..] {
                [_, Value::Text(name)] => name,
                _ => return Err("a name that is not (title, name)".into()),
            },
            _ => return Err("a name that is no text".into()),
        };
        let (number, size) = datatype(text)?;
        let count = match times {
            None => 1,
            Some(Value::Number(n)) => *n,
            Some(times) => shape(times)?.iter().try_fold(1u64, |n, &m| n.checked_mul(m)).unwrap_or(u64::MAX),
        };
        let bytes = usize::try_from(count).ok().and_then(|n| n.checked_mul(size));
        let end = bytes.and_then(|n| offset.checked_add(n)).ok_or("fields of more bytes than a file can have")?;
        fields.push(Field { name: name.clone(), offset, number: number.filter(|_| times.is_none()) });
        offset = end;
    }
    Ok(Kind::Fields(fields, offset))
}

/// Parses a type such as `<i4` into the number, if it is one, and its size in bytes.
fn datatype(text: &str) -> Result<(Option<Number>, usize), ArrayProblem> {
    let unknown = || ArrayProblem::Type { name: text.into() };
    let mut letters = text.chars();
    let mut letter = letters.next().ok_or_else(unknown)?;
    let big = letter == '>';
    if matches!(letter, '<' | '>' | '=' | '|') {
        letter = letters.next().ok_or_else(unknown)?;
    }
    // A unit of time may follow, as in `<M8[us]`.
    let digits = letters.as_str().split('[').next().unwrap_or_default();
    let size: usize = if digits.is_empty() { 1 } else { digits.parse().map_err(|_| unknown())? };
    let bytes = match letter {
        'O' => return Err(ArrayProblem::Objects),
        'U' => size.checked_mul(4).ok_or_else(unknown)?,
        'b' | '?' | 'i' | 'u' | 'f' | 'c' | 'm' | 'M' | 'S' | 'a' | 'V' => size,
        _ => return Err(unknown()),
    };
    Ok((Number::new(letter, size, big), bytes))
}

/// A value in Python syntax.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Text(String),
    Number(u64),
    /// True, False or None.
    Name(&'a str),
    /// A tuple or a list.
    Sequence(Vec<Value<'a>>),
    Dictionary(Vec<(Value<'a>, Value<'a>)>),
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn fault(&self, syntax: HeaderSyntax) -> ArrayProblem {
        let at = self.text.len() - self.rest.len();
        ArrayProblem::Syntax { syntax, at, before: shortened(self.rest) }
    }

    /// If the rest begins with `letter`, consumes it with the blanks after it and returns true.
    fn takes(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, ArrayProblem> {
        if depth > 8 {
            return Err(self.fault(HeaderSyntax::Brackets));
        }
        if self.takes('{') {
            let mut entries = Vec::new();
            while !self.takes('}') {
                let key = self.value(depth + 1)?;
                if !self.takes(':') {
                    return Err(self.fault(HeaderSyntax::Colon));
                }
                entries.push((key, self.value(depth + 1)?));
                if !self.takes(',') && !self.rest.starts_with('}') {
                    return Err(self.fault(HeaderSyntax::Comma));
                }
            }
            return Ok(Value::Dictionary(entries));
        }
        for (open, close) in [('(', ')'), ('[', ']')] {
            if self.takes(open) {
                let mut values = Vec::new();
                while !self.takes(close) {
                    values.push(self.value(depth + 1)?);
                    if !self.takes(',') && !self.rest.starts_with(close) {
                        return Err(self.fault(HeaderSyntax::Comma));
                    }
                }
                return Ok(Value::Sequence(values));
            }
        }
        for quote in ['\'', '"'] {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                let (text, rest) = rest.split_once(quote).ok_or_else(|| self.fault(HeaderSyntax::OpenText))?;
                if text.contains('\\') {
                    return Err(self.fault(HeaderSyntax::Backslash));
                }
                self.rest = rest.trim_start();
                return Ok(Value::Text(text.into()));
            }
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "True" | "False" | "None" => Value::Name(word),
            // Python 2 writes sizes with an L.
            _ => Value::Number(word.trim_end_matches('L').parse().map_err(|_| self.fault(HeaderSyntax::Value))?),
        };
        self.rest = rest.trim_start();
        Ok(value)
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(20).collect()
}
