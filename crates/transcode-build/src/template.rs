//! Path templates of `google.api.http`, as the grammar in the comments of `google/api/http.proto` has them.

use std::fmt;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The text it was parsed from.
    pub text: String,
    /// Its segments; those inside variables stand in their place.
    pub segments: Vec<Segment>,
    /// What follows the colon, without escapes.
    pub verb: Option<String>,
    /// Its variables, in order.
    pub variables: Vec<Variable>,
}

/// A segment of a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A word, without escapes.
    Literal(String),
    /// `*`
    Single,
    /// `**`
    Multi,
}

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Path of the field.
    pub field: Vec<String>,
    /// The first segment it covers.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Where in the text, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "column {} of the path template: {}",
            self.column, self.message
        )
    }
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// When the text is no template, with the column.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut parser = Parser {
            text,
            at: 0,
            segments: Vec::new(),
            variables: Vec::new(),
        };
        parser.expect('/')?;
        // The root of a site: no peer refuses it, though the grammar has no word for it.
        if text != "/" {
            parser.segments(false)?;
        }
        let verb = if parser.eat(':') {
            let at = parser.at;
            let verb = parser.word(&['/', '{', '}', ':'], "a verb")?;
            Some(decoded(&verb, at)?)
        } else {
            None
        };
        if parser.at < text.len() {
            return Err(parser.invalid("expected the end"));
        }
        if parser
            .segments
            .iter()
            .filter(|segment| **segment == Segment::Multi)
            .count()
            > 1
        {
            return Err(Invalid {
                column: 1,
                message: "`**` may stand once only".to_owned(),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            segments: parser.segments,
            verb,
            variables: parser.variables,
        })
    }

    /// Whether some path matches both templates.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.verb == other.verb && overlap(&self.segments, &other.segments)
    }

    /// Whether every path that matches the other matches this one too.
    pub fn covers(&self, other: &Self) -> bool {
        self.verb == other.verb && cover(&self.segments, &other.segments)
    }
}

fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([Segment::Multi, rest @ ..], other) | (other, [Segment::Multi, rest @ ..]) => {
            (0..=other.len()).any(|taken| overlap(rest, &other[taken..]))
        }
        ([Segment::Literal(a), rest_a @ ..], [Segment::Literal(b), rest_b @ ..]) => {
            a == b && overlap(rest_a, rest_b)
        }
        ([_, rest_a @ ..], [_, rest_b @ ..]) => overlap(rest_a, rest_b),
        _ => false,
    }
}

fn cover(a: &[Segment], b: &[Segment]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([Segment::Multi, rest @ ..], other) => {
            (0..=other.len()).any(|taken| cover(rest, &other[taken..]))
        }
        ([Segment::Single, rest_a @ ..], [Segment::Single | Segment::Literal(_), rest_b @ ..]) => {
            cover(rest_a, rest_b)
        }
        ([Segment::Literal(a), rest_a @ ..], [Segment::Literal(b), rest_b @ ..]) => {
            a == b && cover(rest_a, rest_b)
        }
        _ => false,
    }
}

/// A word without escapes, as it is compared with requests, which may escape what they like.
fn decoded(word: &str, at: usize) -> Result<String, Invalid> {
    let bytes = word.as_bytes();
    let invalid = |column: usize, message: &str| Invalid {
        column: at + column + 1,
        message: message.to_owned(),
    };
    for (place, _) in word.match_indices('%') {
        let digits = bytes.get(place + 1..place + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(invalid(place, "`%` begins an escape, such as %2F"));
        }
    }
    let text = percent_encoding::percent_decode_str(word).decode_utf8();
    let text = text.map_err(|_| invalid(0, "what is escaped is not UTF-8"))?;
    Ok(text.into_owned())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        if found {
            self.at += character.len_utf8();
        }
        found
    }

    fn expect(&mut self, character: char) -> Result<(), Invalid> {
        if self.eat(character) {
            Ok(())
        } else {
            Err(self.invalid(&format!("expected `{character}`")))
        }
    }

    fn invalid(&self, message: &str) -> Invalid {
        Invalid {
            column: self.at + 1,
            message: message.to_owned(),
        }
    }

    fn segments(&mut self, in_variable: bool) -> Result<(), Invalid> {
        loop {
            self.segment(in_variable)?;
            if !self.eat('/') {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, in_variable: bool) -> Result<(), Invalid> {
        if self.text[self.at..].starts_with("**") {
            self.at += 2;
            self.segments.push(Segment::Multi);
        } else if self.eat('*') {
            self.segments.push(Segment::Single);
        } else if self.peek() == Some('{') {
            if in_variable {
                return Err(self.invalid("a variable can't stand in a variable"));
            }
            self.variable()?;
        } else {
            let at = self.at;
            let word = self.word(&['/', '{', '}', '*', ':'], "a segment")?;
            self.segments.push(Segment::Literal(decoded(&word, at)?));
        }
        Ok(())
    }

    fn variable(&mut self) -> Result<(), Invalid> {
        let at = self.at;
        self.expect('{')?;
        let start = self.segments.len();
        let mut field = vec![self.identifier()?];
        while self.eat('.') {
            field.push(self.identifier()?);
        }
        if self.eat('=') {
            self.segments(true)?;
        } else {
            self.segments.push(Segment::Single);
        }
        self.expect('}')?;
        if self
            .variables
            .iter()
            .any(|variable| variable.field == field)
        {
            return Err(Invalid {
                column: at + 1,
                message: format!("`{}` stands twice", field.join(".")),
            });
        }
        self.variables.push(Variable {
            field,
            start,
            end: self.segments.len(),
        });
        Ok(())
    }

    fn identifier(&mut self) -> Result<String, Invalid> {
        let word = self.word(&['/', '{', '}', '*', ':', '=', '.'], "a field")?;
        let sane = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !word.starts_with(|c: char| c.is_ascii_digit());
        if sane {
            Ok(word)
        } else {
            Err(self.invalid("that is no name of a field"))
        }
    }

    fn word(&mut self, ends: &[char], what: &str) -> Result<String, Invalid> {
        let rest = &self.text[self.at..];
        let word = rest.find(ends).map_or(rest, |end| &rest[..end]);
        if word.is_empty() {
            return Err(self.invalid(&format!("expected {what}")));
        }
        if let Some(bad) =
            word.find(|c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#')
        {
            self.at += bad;
            return Err(self.invalid("a path has no such character"));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_whole_grammar() {
        let parsed = template("/v1/{name=shelves/*/books/**}/{a.b_c}:undelete");
        assert_eq!(parsed.verb.as_deref(), Some("undelete"));
        assert_eq!(parsed.segments.len(), 6);
        assert_eq!(
            parsed.variables[0],
            Variable {
                field: vec!["name".into()],
                start: 1,
                end: 5
            }
        );
        assert_eq!(
            parsed.variables[1],
            Variable {
                field: vec!["a".into(), "b_c".into()],
                start: 5,
                end: 6
            }
        );
        for text in [
            "/",
            "/v1",
            "/*",
            "/**",
            "/v1/**/x",
            "/v1/{a}:b",
            "/v1/{a=**}",
            "/v1:batch",
            "/v1/a.b-c_d~",
            "/v1/a=b&c;d",
            "/v1/a%2Fb:c%20d",
        ] {
            template(text);
        }
    }

    #[test]
    fn what_is_no_template_says_where() {
        for (text, column) in [
            ("", 1),
            ("v1", 1),
            ("/v1/", 5),
            ("/v1//a", 5),
            ("/v1/{", 6),
            ("/v1/{a", 7),
            ("/v1/{a=}", 8),
            ("/v1/{a={b}}", 8),
            ("/v1/{a.}", 8),
            ("/v1/{1a}", 8),
            ("/v1/a:", 7),
            ("/v1/a:b/c", 8),
            ("/v1/a b", 6),
            ("/v1/a?b", 6),
            ("/{a}/{a}", 6),
            ("/**/**", 1),
            ("/v1/a}", 6),
            ("/v1/a%2", 6),
            ("/v1/a%zz", 6),
            ("/v1/%ff", 5),
        ] {
            assert_eq!(
                Template::parse(text).map_err(|invalid| invalid.column),
                Err(column),
                "{text}"
            );
        }
    }

    #[test]
    fn overlap_and_cover() {
        for (a, b, overlaps, covers) in [
            ("/a/{x}", "/a/{y}", true, true),
            ("/a/{x}", "/a/b", true, true),
            ("/a/b", "/a/{x}", true, false),
            ("/a/{x}/c", "/a/b/{y}", true, false),
            ("/a/{x}", "/a/{x}/b", false, false),
            ("/a/**", "/a/{x}/b", true, true),
            ("/a/{x}/b", "/a/**", true, false),
            ("/**/x", "/a/**", true, false),
            ("/a:v", "/a", false, false),
            ("/a/*", "/a/**", true, false),
        ] {
            assert_eq!(template(a).overlaps(&template(b)), overlaps, "{a} {b}");
            assert_eq!(template(a).covers(&template(b)), covers, "{a} {b}");
        }
    }
}
