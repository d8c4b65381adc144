//! Rust source split into code, comments and literals, so that a rule looks at the right one.
//!
//! INVARIANT: [`Source::code`] and [`Source::comments`] have the lines of the source, and each
//! character of the source stands in at most one of them, at its place; all else is a space. It
//! knows where literals and comments end and nothing else of the grammar.

/// A source file in layers.
pub(super) struct Source {
    /// Everything but comments and the inside of string and character literals.
    pub(super) code: String,
    /// Comments, documentation included.
    pub(super) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Code,
    Comment,
    Literal,
}

struct Lexer<'a> {
    rest: &'a str,
    code: String,
    comments: String,
    /// Whether the last character was part of a word, so that `r` in `for"` starts no raw string.
    in_word: bool,
}

/// Splits `text`.
pub(super) fn split(text: &str) -> Source {
    let mut lexer = Lexer {
        rest: text,
        code: String::with_capacity(text.len()),
        comments: String::with_capacity(text.len()),
        in_word: false,
    };
    while let Some(c) = lexer.rest.chars().next() {
        lexer.item(c);
    }
    Source {
        code: lexer.code,
        comments: lexer.comments,
    }
}

impl Lexer<'_> {
    fn item(&mut self, c: char) {
        let raw_prefix = if self.in_word {
            0
        } else {
            raw_prefix(self.rest)
        };
        self.in_word = c.is_alphanumeric() || c == '_';
        if self.rest.starts_with("//") {
            self.take(
                self.rest.find('\n').unwrap_or(self.rest.len()),
                Layer::Comment,
            );
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest), Layer::Comment);
        } else if raw_prefix > 0 {
            self.raw_string(raw_prefix);
        } else if c == '"' {
            self.take(1, Layer::Code);
            self.quoted('"');
        } else if c == '\'' && is_char_literal(self.rest) {
            self.take(1, Layer::Code);
            self.quoted('\'');
        } else {
            self.take(c.len_utf8(), Layer::Code);
        }
    }

    /// The inside of a literal with escapes, up to and with the closing `quote`.
    fn quoted(&mut self, quote: char) {
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        self.take(end.unwrap_or(self.rest.len()), Layer::Literal);
        self.take(1, Layer::Code);
    }

    /// A raw string whose opening, quote included, is `prefix` bytes long.
    fn raw_string(&mut self, prefix: usize) {
        let opening = self.rest.get(..prefix).unwrap_or_default();
        let closing = format!("\"{}", "#".repeat(opening.matches('#').count()));
        self.take(prefix, Layer::Code);
        let end = self.rest.find(&closing).unwrap_or(self.rest.len());
        self.take(end, Layer::Literal);
        self.take(closing.len(), Layer::Code);
    }

    /// Moves up to `bytes` bytes from the rest into `layer`.
    fn take(&mut self, bytes: usize, layer: Layer) {
        let (head, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        for c in head.chars() {
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if layer == Layer::Code { c } else { blank });
            self.comments
                .push(if layer == Layer::Comment { c } else { blank });
        }
    }
}

/// Length of `r"`, `br#"` and the like, or 0.
fn raw_prefix(text: &str) -> usize {
    let after = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix("cr"))
        .or_else(|| text.strip_prefix('r'));
    match after.and_then(|after| after.trim_start_matches('#').strip_prefix('"')) {
        Some(inside) => text.len() - inside.len(),
        None => 0,
    }
}

/// Tells `'x'` and `'\n'` from the lifetime `'x`.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Length of the block comment at the start of `text`; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let squeezed = split(text).code;
        squeezed.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn literals_and_comments_are_no_code() {
        for (text, want) in [
            ("a // {", "a"),
            ("a /* { /* } */ { */ b", "a b"),
            (r#"f("{ // \" {") + 1"#, r#"f(" ") + 1"#),
            (r##"f(r#"{" {"#) + 1"##, r##"f(r#" "#) + 1"##),
            (r#"f(br"\") + 1"#, r#"f(br" ") + 1"#),
            (r"['{', '\'', '\\', '\u{7d}']", "[' ', ' ', ' ', ' ']"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("let r#type = 1;", "let r#type = 1;"),
            ("\"ends with the file {", "\""),
            ("/* ends with the file {", ""),
        ] {
            assert_eq!(code(text), want, "{text}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "a\n\"b\nc\" // d\n/* e\n */ f\n";
        let source = split(text);
        assert_eq!(source.code.lines().count(), 5);
        assert_eq!(source.comments.lines().count(), 5);
        assert!(source.code.lines().nth(4).unwrap().ends_with('f'));
        assert!(source.comments.lines().nth(2).unwrap().ends_with("// d"));
    }
}
