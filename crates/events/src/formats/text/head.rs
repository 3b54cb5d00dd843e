//! Finds the columns of a text in the line or the comment that names them.
//!
//! A first line of names must name every column, so it states how many columns each line has. A
//! comment may be prose. Its words are names if there are as many of them as a line has columns, or
//! if the four names x, y, t and p are adjacent in any order and a line has four columns.

use crate::Sensor;
use crate::formats::TimeUnit;
use crate::problem::TextProblem;

/// Number of cells of a line that are examined.
pub const MOST_CELLS: usize = 64;

/// The positions of the columns, and the unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub x: usize,
    pub y: usize,
    pub t: usize,
    pub p: usize,
    /// The number of columns.
    pub columns: usize,
    /// The unit of t, if it is stated.
    pub unit: Option<TimeUnit>,
    /// The sensor, if the names state it (`x@640`).
    pub sensor: Option<Sensor>,
}

/// `x y t p`, the assumed order if nothing names the columns.
pub const PLAIN: Layout = Layout { x: 0, y: 1, t: 2, p: 3, columns: 4, unit: None, sensor: None };

/// The separator of the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// Any number of blanks and tabs: no cell is empty.
    Blank,
    /// One comma, semicolon or tab: a cell may be empty.
    Byte(u8),
}

impl Separator {
    /// The separator of this line.
    pub fn of(line: &[u8]) -> Separator {
        if let Some(&byte) = [b',', b';'].iter().find(|byte| line.contains(byte)) {
            return Separator::Byte(byte);
        }
        // A line is separated by tabs if no cell contains a blank; tabs among blanks are only
        // alignment.
        let tabs = line.contains(&b'\t') && line.split(|b| *b == b'\t').all(|cell| !cell.trim_ascii().contains(&b' '));
        if tabs { Separator::Byte(b'\t') } else { Separator::Blank }
    }

    /// Writes the first cells of a line, without surrounding blanks and quotes, to `cells`. Returns
    /// how many cells the line has.
    pub fn cells<'a>(self, line: &'a [u8], cells: &mut [&'a [u8]; MOST_CELLS]) -> usize {
        let mut count = 0;
        let mut add = |cell: &'a [u8]| {
            if let Some(to) = cells.get_mut(count) {
                *to = unquoted(cell.trim_ascii());
            }
            count += 1;
        };
        match self {
            Separator::Blank => line.split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty()).for_each(&mut add),
            Separator::Byte(byte) => line.split(|b| *b == byte).for_each(&mut add),
        }
        count
    }
}

fn unquoted(cell: &[u8]) -> &[u8] {
    cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\"")).unwrap_or(cell)
}

/// The meaning of a column's name, with the size or the unit that it states.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Column {
    X(Option<u16>),
    Y(Option<u16>),
    T(Option<TimeUnit>),
    P,
}

impl Column {
    /// Parses a lower-case name; `None` for any other word.
    fn named(name: &str) -> Option<Column> {
        if let Some(unit) = TimeUnit::of_column(name) {
            return Some(Column::T(unit));
        }
        // Strips a suffix such as in `x (px)` or `polarity(0=off, 1=on)`.
        let base = name.split(['(', '[']).next().unwrap_or_default().trim_end();
        match base {
            "x" => return Some(Column::X(None)),
            "y" => return Some(Column::Y(None)),
            "p" | "pol" | "polarity" | "on" => return Some(Column::P),
            _ => {}
        }
        let (base, size) = base.split_once('@')?;
        let size = Some(size.parse().ok().filter(|size| *size > 0)?);
        match base {
            "x" => Some(Column::X(size)),
            "y" => Some(Column::Y(size)),
            _ => None,
        }
    }

    /// The index of the column in the order x, y, t, p.
    fn index(self) -> usize {
        match self {
            Column::X(_) => 0,
            Column::Y(_) => 1,
            Column::T(_) => 2,
            Column::P => 3,
        }
    }
}

impl Layout {
    /// The layout of columns with these names; `None` unless each of the four occurs once.
    fn of(names: &[Option<Column>]) -> Option<Layout> {
        let (mut at, mut columns) = ([None; 4], [None; 4]);
        for (i, column) in names.iter().enumerate() {
            let Some(column) = column else { continue };
            if at[column.index()].replace(i).is_some() {
                return None;
            }
            columns[column.index()] = Some(*column);
        }
        let [Some(x), Some(y), Some(t), Some(p)] = at else { return None };
        let sensor = match (columns[0], columns[1]) {
            (Some(Column::X(Some(width))), Some(Column::Y(Some(height)))) => Some(Sensor { width, height }),
            _ => None,
        };
        let unit = if let Some(Column::T(unit)) = columns[2] { unit } else { None };
        (x.max(y).max(t).max(p) < MOST_CELLS).then_some(Layout { x, y, t, p, columns: names.len(), unit, sensor })
    }

    /// The layout that a first line of names states. Columns besides the four may have any name or
    /// none.
    pub fn of_line(line: &[u8], separator: Separator) -> Option<Layout> {
        let line = std::str::from_utf8(line).ok()?.to_ascii_lowercase();
        let mut cells = [&b""[..]; MOST_CELLS];
        let named = |name: &str| name.is_empty() || name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let names: Vec<String> = match separator {
            Separator::Blank => words(&line),
            Separator::Byte(_) => {
                let count = separator.cells(line.as_bytes(), &mut cells).min(MOST_CELLS);
                cells[..count].iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
            }
        };
        if !names.iter().all(|name| named(name)) {
            return None;
        }
        Layout::of(&names.iter().map(|name| Column::named(name)).collect::<Vec<_>>())
    }

    /// Whether both layouts have the columns at the same positions.
    pub fn same_places(&self, other: &Layout) -> bool {
        (self.x, self.y, self.t, self.p, self.columns) == (other.x, other.y, other.t, other.p, other.columns)
    }
}

/// A comment that may name the columns.
#[derive(Debug)]
pub struct Comment {
    words: Vec<(String, Option<Column>)>,
}

impl Comment {
    /// Parses a comment; `None` if it contains fewer than two names of columns.
    pub fn of(line: &[u8]) -> Option<Comment> {
        let line = std::str::from_utf8(line).ok()?.trim_start_matches(['#', '%', '/', ' ', '!']);
        let words = words(&line.to_lowercase());
        // A word that ends with a colon introduces what follows it, so names start after it.
        let start = words.iter().rposition(|word| word.ends_with(':')).map_or(0, |i| i + 1) % words.len().max(1);
        let known = |word: String| {
            let name = word.trim_end_matches(['.', ':']);
            let column = Column::named(name);
            (word, column)
        };
        let words: Vec<_> = words.into_iter().skip(start).map(known).collect();
        (words.iter().filter(|(_, column)| column.is_some()).count() >= 2).then_some(Comment { words })
    }

    /// Whether the comment names the columns x, y, t and p unmistakably.
    pub fn is_head(&self) -> bool {
        matches!(self.layout(4), Ok(Some(_)))
    }

    /// The layout that the comment states for lines of `columns` columns, if it states one.
    ///
    /// # Errors
    /// The words that were not understood, or [`TextProblem::TwoOrders`].
    pub fn layout(&self, columns: usize) -> Result<Option<Layout>, TextProblem> {
        let named: Vec<_> = self.words.iter().map(|(_, column)| *column).collect();
        if named.len() == columns
            && let Some(layout) = Layout::of(&named)
        {
            return Ok(Some(layout));
        }
        let (mut runs, mut at) = (Vec::new(), 0);
        while let Some(run) = named.get(at..at + 4) {
            match Layout::of(run).filter(|_| run.iter().all(Option::is_some)) {
                Some(layout) => {
                    runs.push(layout);
                    at += 4;
                }
                None => at += 1,
            }
        }
        if let Some(first) = runs.first() {
            if runs.iter().any(|run| !run.same_places(first)) {
                return Err(TextProblem::TwoOrders);
            }
            if columns != 4 {
                return Err(self.not_understood(Some(columns)));
            }
            return Ok(Some(*first));
        }
        // `on` is also a word of prose, so alone it is no evidence of a name.
        let (mut distinct, mut strict) = ([false; 4], [false; 4]);
        for (word, column) in &self.words {
            let Some(column) = column else { continue };
            distinct[column.index()] = true;
            strict[column.index()] |= word != "on";
        }
        let half = named.len() == columns && distinct.iter().filter(|&&found| found).count() >= 2;
        if half || strict == [true; 4] {
            return Err(self.not_understood(None));
        }
        Ok(None)
    }

    fn not_understood(&self, columns: Option<usize>) -> TextProblem {
        let unknown = self.words.iter().filter(|(_, column)| column.is_none());
        TextProblem::NotUnderstood { columns, words: unknown.map(|(word, _)| word.clone()).take(8).collect() }
    }
}

/// The unit of time that a comment states in words: `t in seconds`, `unit: ns`, `time unit = ms`.
pub fn unit_in_words(line: &[u8]) -> Option<TimeUnit> {
    /// Words that are skipped because they do not affect the unit.
    const FILLERS: [&str; 8] = ["in", "is", "are", "of", "the", "given", "stored", "measured"];
    let line = std::str::from_utf8(line).ok()?.to_lowercase();
    let parts = |c: char| c.is_whitespace() || "#%,;:=()[]\"'!".contains(c);
    let words: Vec<_> = line.split(parts).filter(|word| !word.is_empty() && !FILLERS.contains(word)).collect();
    let is_time = |word: &str| TimeUnit::of_column(word) == Some(None);
    (1..words.len()).find_map(|i| {
        let unit = TimeUnit::parse(words[i].trim_end_matches('.'))?;
        let begins_name = |at: usize| words.get(at).is_none_or(|word| !matches!(*word, "x" | "y" | "p"));
        let named = matches!(words[i - 1], "unit" | "units") && (i < 2 || begins_name(i - 2));
        (is_time(words[i - 1]) || named).then_some(unit)
    })
}

/// The words of a text, separated by blanks, commas and semicolons. Text in brackets belongs to the
/// preceding word.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut depth, mut inside) = (0usize, false);
    for c in text.chars() {
        match c {
            '(' | '[' => {
                depth += 1;
                // `time (s)` is one word.
                match words.last_mut() {
                    Some(word) => word.push(c),
                    None => words.push(c.into()),
                }
                inside = true;
                continue;
            }
            ')' | ']' => depth = depth.saturating_sub(1),
            ' ' | '\t' | ',' | ';' | '\r' if depth == 0 => {
                inside = false;
                continue;
            }
            _ => {}
        }
        match words.last_mut().filter(|_| inside) {
            Some(word) => word.push(c),
            None => words.push(c.into()),
        }
        inside = true;
    }
    words.iter().map(|word| word.trim_matches('"').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(text: &str, columns: usize) -> Result<Option<[usize; 4]>, TextProblem> {
        let Some(comment) = Comment::of(text.as_bytes()) else { return Ok(None) };
        comment.layout(columns).map(|l| l.map(|l| [l.x, l.y, l.t, l.p]))
    }

    #[test]
    fn a_comment_names_columns_or_is_prose_or_is_refused() {
        for (text, columns, places) in [
            ("# timestamp x y polarity", 4, Some([1, 2, 0, 3])),
            ("# format: t x y p", 4, Some([1, 2, 0, 3])),
            ("% x,y,p,t_us", 4, Some([0, 1, 3, 2])),
            ("# dvs-events: One event per line:  timestamp(float s) x y polarity(off/on=0/1)", 4, Some([1, 2, 0, 3])),
            (
                "# Format is time (float s), x, y, polarity (0=off, 1=on) as specified at http://rpg",
                4,
                Some([1, 2, 0, 3]),
            ),
            ("# columns: id t x y p label", 6, Some([2, 3, 1, 4])),
            ("# t x y p, t in us", 4, Some([1, 2, 0, 3])),
            ("# jAER DAVIS/DVS camera text file output", 4, None),
            ("# x and y are pixels", 4, None),
            ("# recorded on a day", 4, None),
            ("#", 4, None),
        ] {
            assert_eq!(comment(text, columns), Ok(places), "{text}");
        }
        // A run of four names, followed by another word.
        assert_eq!(comment("# t x y p s", 4), Ok(Some([1, 2, 0, 3])));
        let unknown = |columns, words: &[&str]| TextProblem::NotUnderstood {
            columns,
            words: words.iter().map(|word| word.to_string()).collect(),
        };
        for (text, columns, problem) in [
            ("# format: t x y p", 5, unknown(Some(5), &[])),
            ("# ts[ticks] x y pol", 4, unknown(None, &["ts[ticks]"])),
            ("# timestamp x y sign", 4, unknown(None, &["sign"])),
            ("# x in pixels, y in pixels, t in us, p", 4, unknown(None, &["in", "pixels", "in", "pixels", "in", "us"])),
            ("# t x y p or x y t p", 4, TextProblem::TwoOrders),
        ] {
            assert_eq!(comment(text, columns), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_first_line_states_all_columns_and_perhaps_the_sensor() {
        let layout = |line: &str| Layout::of_line(line.as_bytes(), Separator::of(line.as_bytes()));
        let pandas = layout(",t,x,y,p").unwrap();
        assert_eq!((pandas.t, pandas.x, pandas.p, pandas.columns), (1, 2, 4, 5));
        assert_eq!(layout("\tt\tx\ty\tp").unwrap(), pandas);
        let faery = layout("t,x@640,y@480,on").unwrap();
        assert_eq!(faery.sensor, Some(Sensor { width: 640, height: 480 }));
        assert_eq!(layout("\"time (s)\",\"x\",\"y\",\"on\"").unwrap().unit, Some(TimeUnit::Seconds));
        assert_eq!(layout("time (ms) x y p").unwrap().unit, Some(TimeUnit::Milliseconds));
        for none in ["1 2 3 4", "t,x,y", "t,x,x,y,p", "t,x,y,p,7", "x@0,y@3,t,p", ""] {
            assert_eq!(layout(none), None, "{none}");
        }
    }
}
