//! The text of a scrape, in Prometheus' own format 0.0.4 or as OpenMetrics 1.0.

use std::fmt::{self, Write as _};

use super::histogram::{BOUNDS, Times};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which everybody reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a scraper asked for. Text is for those who do not ask.
    pub fn accepted(accept: &[u8]) -> Self {
        let name = b"application/openmetrics-text";
        if accept.windows(name.len()).any(|part| part == name) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// What the answer says it is.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is written for a scrape.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
}

/// Labels and their values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// The samples of a metric.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
}

impl Page {
    /// An empty page.
    pub const fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// A number that only grows. Its name ends in `_total`.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        // OpenMetrics names the family without the end that its samples have.
        let family = match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.trim_end_matches("_total"),
        };
        self.family(name, family, "counter", help)
    }

    /// A number that goes up and down.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, name, "gauge", help)
    }

    /// How long things take.
    pub fn histogram<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, name, "histogram", help)
    }

    fn family<'a>(&'a mut self, name: &'a str, family: &str, kind: &str, help: &str) -> Family<'a> {
        // Writing to a String can't fail, here and below.
        let _ = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}");
        Family { page: self, name }
    }

    /// The text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Family<'_> {
    /// A sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl fmt::Display) {
        self.line("", labels, None, value);
    }

    /// The samples of a histogram.
    pub fn times(&mut self, labels: Labels<'_>, times: &Times) {
        let mut count = 0;
        let buckets = times.buckets();
        let bounds = BOUNDS
            .iter()
            .map(|bound| format!("{:?}", bound.as_secs_f64()));
        for (bound, bucket) in bounds.chain(["+Inf".to_owned()]).zip(buckets) {
            count += bucket;
            self.line("_bucket", labels, Some(&bound), count);
        }
        self.line("_sum", labels, None, times.sum().as_secs_f64());
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl fmt::Display,
    ) {
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(suffix);
        let mut separator = '{';
        let bound = bound.map(|bound| ("le", bound));
        for (name, value) in labels.iter().copied().chain(bound) {
            text.push(separator);
            separator = ',';
            text.push_str(name);
            text.push_str("=\"");
            for char in value.chars() {
                match char {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        if separator == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        page.counter("things_total", "Things")
            .sample(&[("kind", "a\"b\\c\nd")], 3);
        page.gauge("temperature", "Now").sample(&[], 1.5);
        let times = Times::new();
        times.record(Duration::from_millis(300));
        times.record(Duration::from_mins(1));
        page.histogram("took_seconds", "Times")
            .times(&[("route", "/")], &times);
        page.finish()
    }

    #[test]
    fn both_formats() {
        let text = page(Format::Text);
        for line in [
            "# HELP things_total Things",
            "# TYPE things_total counter",
            r#"things_total{kind="a\"b\\c\nd"} 3"#,
            "temperature 1.5",
            "# TYPE took_seconds histogram",
            r#"took_seconds_bucket{route="/",le="0.2"} 0"#,
            r#"took_seconds_bucket{route="/",le="0.3"} 1"#,
            r#"took_seconds_bucket{route="/",le="10.0"} 1"#,
            r#"took_seconds_bucket{route="/",le="+Inf"} 2"#,
            r#"took_seconds_sum{route="/"} 60.3"#,
            r#"took_seconds_count{route="/"} 2"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let open = page(Format::OpenMetrics);
        assert!(open.contains("# TYPE things counter\n") && open.ends_with("# EOF\n"));
        assert!(open.contains("\nthings_total{"), "{open}");
    }

    #[test]
    fn scrapers_get_what_they_ask_for() {
        let prometheus = b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for other in [&b""[..], b"*/*", b"text/plain;version=0.0.4"] {
            assert_eq!(Format::accepted(other), Format::Text);
        }
    }
}
