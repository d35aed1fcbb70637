//! Reads every SQL statement out of this crate's sources: string literals whose first line names their function
//! (`-- outbox::finish`), put together where `concat!`, `format!` or a macro of ours does so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};

/// One statement as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    pub name: String,
    pub sql: String,
}

/// What was read.
pub struct Sources {
    pub statements: BTreeSet<Statement>,
    /// Literals that name a table of Odoo's and are part of no statement that was read.
    pub strays: Vec<String>,
}

/// What `format!` puts in at run time, and no constant holds: (statement, name, texts). Where there are several texts the
/// statement is read once with each.
pub type Given<'a> = &'a [(&'a str, &'a str, &'a [&'a str])];

#[derive(Default)]
struct Reader<'a> {
    /// Macros of ours: name, parameter, body.
    macros: BTreeMap<String, (Option<String>, TokenStream)>,
    /// Constants of the file, under those of the other files of its folder.
    consts: BTreeMap<String, TokenStream>,
    given: Given<'a>,
    /// Which of the texts that are given.
    variant: usize,
    statements: BTreeSet<Statement>,
    /// Outside statements.
    literals: BTreeSet<String>,
}

/// Reads the folder `src`.
pub fn read(given: Given<'_>) -> Sources {
    let mut reader = Reader { given, ..Default::default() };
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    let streams: Vec<(PathBuf, TokenStream)> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file can be read");
            let stream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, stream)
        })
        .collect();
    for (_, stream) in &streams {
        reader.macros(stream);
    }
    for (path, stream) in &streams {
        reader.consts.clear();
        let beside = |other: &&(PathBuf, TokenStream)| other.0.parent() == path.parent();
        for (_, other) in streams.iter().filter(beside) {
            reader.consts(other);
        }
        reader.consts(stream);
        reader.walk(stream.clone());
    }
    let names_a_table = |text: &String| {
        text.match_indices("public.").any(|(at, word)| {
            text[at + word.len()..].starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        })
    };
    let strays = reader
        .literals
        .iter()
        .filter(|text| names_a_table(text))
        .filter(|text| !reader.statements.iter().any(|s| s.sql.contains(text.as_str())))
        .cloned()
        .collect();
    Sources { statements: reader.statements, strays }
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(name)) => Some(name.to_string()),
        _ => None,
    }
}

fn punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == wanted)
}

fn group(token: Option<&TokenTree>) -> Option<&proc_macro2::Group> {
    match token {
        Some(TokenTree::Group(group)) => Some(group),
        _ => None,
    }
}

fn text_of(literal: &Literal) -> Option<String> {
    syn::parse_str::<syn::LitStr>(&literal.to_string()).ok().map(|text| text.value())
}

/// The name in `-- name::of\n…`.
fn name_of(sql: &str) -> Option<String> {
    let (head, _) = sql.strip_prefix("-- ")?.split_once('\n')?;
    let head = head.trim();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    (head.contains("::") && head.chars().all(fits)).then(|| head.to_owned())
}

fn split(tokens: &[TokenTree]) -> Vec<Vec<TokenTree>> {
    tokens
        .split(|token| punct(Some(token), ','))
        .map(<[TokenTree]>::to_vec)
        .filter(|part| !part.is_empty())
        .collect()
}

impl Reader<'_> {
    /// Remembers `macro_rules! name { (…) => { … } }` of one arm with at most one parameter.
    fn macros(&mut self, stream: &TokenStream) {
        let tokens: Vec<_> = stream.clone().into_iter().collect();
        for (n, token) in tokens.iter().enumerate() {
            if ident(Some(token)).as_deref() == Some("macro_rules") && punct(tokens.get(n + 1), '!')
            {
                let (Some(name), Some(rules)) =
                    (ident(tokens.get(n + 2)), group(tokens.get(n + 3)))
                else {
                    continue;
                };
                let rules: Vec<_> = rules.stream().into_iter().collect();
                if let (Some(takes), Some(body)) = (group(rules.first()), group(rules.get(3))) {
                    let takes: Vec<_> = takes.stream().into_iter().collect();
                    self.macros.insert(name, (ident(takes.get(1)), body.stream()));
                }
            } else if let TokenTree::Group(inner) = token {
                self.macros(&inner.stream());
            }
        }
    }

    /// Remembers `const NAME: … = …;` of a file.
    fn consts(&mut self, stream: &TokenStream) {
        let tokens: Vec<_> = stream.clone().into_iter().collect();
        for (n, token) in tokens.iter().enumerate() {
            if ident(Some(token)).as_deref() == Some("const") {
                let rest = &tokens[n + 1..];
                let Some(name) = ident(rest.first()) else { continue };
                let Some(begin) = rest.iter().position(|t| punct(Some(t), '=')) else { continue };
                let Some(end) = rest.iter().position(|t| punct(Some(t), ';')) else { continue };
                if begin < end {
                    self.consts.insert(name, rest[begin + 1..end].iter().cloned().collect());
                }
            } else if let TokenTree::Group(inner) = token {
                self.consts(&inner.stream());
            }
        }
    }

    fn walk(&mut self, stream: TokenStream) {
        let tokens: Vec<_> = stream.into_iter().collect();
        let mut n = 0;
        while n < tokens.len() {
            if ident(tokens.get(n)).as_deref() == Some("macro_rules")
                && punct(tokens.get(n + 1), '!')
            {
                // Fragments: read where they are used, and strays where they are not.
                self.remember(&tokens[n + 3..n + 4]);
                n += 4;
                continue;
            }
            let is_macro = ident(tokens.get(n)).is_some()
                && punct(tokens.get(n + 1), '!')
                && group(tokens.get(n + 2)).is_some();
            let length = if is_macro { 3 } else { 1 };
            let part = &tokens[n..n + length];
            let sql = self.value(part, "").filter(|sql| name_of(sql).is_some());
            if let Some(sql) = sql {
                let name = name_of(&sql).expect("it was looked at");
                // Its literals are read with it.
                let of = self.given.iter().filter(|(of, ..)| *of == name);
                let variants = of.map(|(.., texts)| texts.len()).max().unwrap_or(1);
                for variant in 0..variants {
                    self.variant = variant;
                    let sql = self.value(part, &name).expect("it was read before");
                    self.statements.insert(Statement { name: name.clone(), sql });
                }
                n += length;
                continue;
            }
            match &tokens[n] {
                TokenTree::Group(inner) => self.walk(inner.stream()),
                TokenTree::Literal(_) => self.remember(&tokens[n..=n]),
                _ => {}
            }
            n += 1;
        }
    }

    fn remember(&mut self, tokens: &[TokenTree]) {
        for token in tokens {
            match token {
                TokenTree::Literal(literal) => self.literals.extend(text_of(literal)),
                TokenTree::Group(inner) => {
                    self.remember(&inner.stream().into_iter().collect::<Vec<_>>());
                }
                _ => {}
            }
        }
    }

    /// The text that an expression gives, where it can be known. `name` is the statement's, "" while it is unknown.
    fn value(&self, tokens: &[TokenTree], name: &str) -> Option<String> {
        match tokens {
            [TokenTree::Literal(literal)] => text_of(literal),
            [TokenTree::Group(inner)] if inner.delimiter() == Delimiter::None => {
                self.value(&inner.stream().into_iter().collect::<Vec<_>>(), name)
            }
            [TokenTree::Ident(constant)] => {
                let stream = self.consts.get(&constant.to_string())?.clone();
                self.value(&stream.into_iter().collect::<Vec<_>>(), name)
            }
            [TokenTree::Ident(called), TokenTree::Punct(_), TokenTree::Group(arguments)] => {
                let arguments: Vec<_> = arguments.stream().into_iter().collect();
                match called.to_string().as_str() {
                    "concat" => {
                        split(&arguments).iter().map(|part| self.value(part, name)).collect()
                    }
                    "format" => {
                        let text = self.value(split(&arguments).first()?, name)?;
                        self.filled(&text, name)
                    }
                    other => {
                        let (parameter, body) = self.macros.get(other)?;
                        let body = substituted(body.clone(), parameter.as_deref(), &arguments);
                        self.value(&body, name)
                    }
                }
            }
            _ => None,
        }
    }

    /// A text of `format!` with what stands in its braces.
    fn filled(&self, text: &str, name: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (key, after) = after.split_once('}')?;
            out += before;
            let constant = || {
                let stream = self.consts.get(key)?.clone();
                self.value(&stream.into_iter().collect::<Vec<_>>(), name)
            };
            let given = self.given.iter().find(|(of, what, _)| *of == name && *what == key);
            let text = |texts: &[&str]| texts[self.variant.min(texts.len() - 1)].to_owned();
            match given.map(|(.., texts)| text(texts)).or_else(constant) {
                Some(text) => out += &text,
                // Until the name is known nothing more than the head is asked for.
                None if name.is_empty() => out += "NULL",
                None => {
                    panic!("{name}: what {{{key}}} stands for is said nowhere: add it to GIVEN")
                }
            }
            rest = after;
        }
        Some(out + rest)
    }
}

/// A macro's body with its parameter replaced.
fn substituted(body: TokenStream, parameter: Option<&str>, with: &[TokenTree]) -> Vec<TokenTree> {
    let mut out = Vec::new();
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let next = tokens.peek().cloned();
        if punct(Some(&token), '$') && ident(next.as_ref()).as_deref() == parameter {
            tokens.next();
            out.extend(with.iter().cloned());
        } else if let TokenTree::Group(inner) = &token {
            let stream = substituted(inner.stream(), parameter, with).into_iter().collect();
            out.push(proc_macro2::Group::new(inner.delimiter(), stream).into());
        } else {
            out.push(token);
        }
    }
    out
}
