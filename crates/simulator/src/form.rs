//! Forms (`multipart/form-data`), read part by part.

use crate::vendor::Call;
use bytes::Bytes;
use http::header;

/// One part of a form.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub name: String,
    pub filename: Option<String>,
    pub content_type: Option<String>,
    pub bytes: Bytes,
}

/// The parts of a form, as RFC 7578 writes them; None where it is none.
pub(crate) fn parts(call: &Call) -> Option<Vec<Part>> {
    let kind = call.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let boundary = kind.strip_prefix("multipart/form-data")?.split("boundary=").nth(1)?;
    let delimiter = format!("--{}", boundary.trim().trim_matches('"'));
    let body = &call.body;
    let mut parts = Vec::new();
    let mut at = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    while !body[at..].starts_with(b"--") {
        let end_of_head = find(body, b"\r\n\r\n", at)?;
        let head = std::str::from_utf8(&body[at..end_of_head]).ok()?;
        let next = find(body, format!("\r\n{delimiter}").as_bytes(), end_of_head + 2)?;
        let mut part = Part { bytes: body.slice(end_of_head + 4..next), ..Part::default() };
        for line in head.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let parameter = |name: &str| {
                let (_, rest) = value.split_once(&format!("{name}=\""))?;
                rest.split_once('"').map(|(value, _)| value.to_owned())
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    part.name = parameter(" name").unwrap_or_default();
                    part.filename = parameter("filename");
                }
                "content-type" => part.content_type = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        parts.push(part);
        at = next + 2 + delimiter.len();
    }
    Some(parts)
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = body.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|at| at + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Option<Vec<Part>> {
        let mut headers = http::HeaderMap::new();
        let kind = "multipart/form-data; boundary=x-1".parse().expect("a value");
        headers.insert(header::CONTENT_TYPE, kind);
        let call = Call {
            account: crate::state::AccountId(0),
            operation: crate::vendor::Operation::new("media.upload", None),
            method: http::Method::POST,
            path: String::new(),
            query: vec![],
            headers,
            body: Bytes::from(body.to_owned()),
            effects: crate::faults::WebhookEffects::default(),
        };
        parts(&call)
    }

    #[test]
    fn forms_are_read_part_by_part() {
        let parts = form(
            "--x-1\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\ntext/plain\r\n--x-1\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"\r\nContent-Type: text/plain\r\n\r\n\
             line\r\n--y\r\n--x-1--\r\n",
        )
        .expect("a form");
        assert_eq!((parts[0].name.as_str(), &parts[0].bytes[..]), ("type", &b"text/plain"[..]));
        assert_eq!((parts[1].name.as_str(), &parts[1].bytes[..]), ("file", &b"line\r\n--y"[..]));
        assert_eq!(parts[1].filename.as_deref(), Some("a b.txt"));
        assert_eq!(parts[1].content_type.as_deref(), Some("text/plain"));
        for broken in ["", "--x-1", "--x-1\r\n\r\n", "--x-1\r\nno end\r\n\r\nx", "x"] {
            assert!(form(broken).is_none(), "{broken:?}");
        }
    }
}
