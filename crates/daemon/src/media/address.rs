//! Links that others give us are followed to public addresses only: looked at as a literal before each request
//! and in our own resolver, so that the address that was checked is the one that is used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the link is no http(s) address")]
    Scheme,
    #[error("the link carries a user name or password")]
    Credentials,
    #[error("the link leads to an address that is not public")]
    NotPublic,
}

/// Where links may lead.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Hosts, lower-case, that may have addresses that are not public.
    pub allowed_hosts: Vec<String>,
    pub allow_private: bool,
}

impl Rules {
    fn allows(&self, host: &str) -> bool {
        self.allow_private || self.allowed_hosts.iter().any(|h| h.eq_ignore_ascii_case(host))
    }

    /// Looks at a link before it is requested; names are looked at once more when they are resolved.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        let Some(host) = url.host_str() else { return Err(Refused::Scheme) };
        // The parser has made one form of every spelling of an address.
        match host.trim_matches(['[', ']']).parse() {
            Ok(ip) if !is_public(ip) && !self.allows(host) => Err(Refused::NotPublic),
            _ => Ok(()),
        }
    }
}

/// Resolves names, and leaves out what is not public.
pub struct PublicOnly(pub Arc<Rules>);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            // The port is filled in by the connector.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let all = rules.allows(host);
            let usable: Vec<SocketAddr> =
                found.into_iter().filter(|at| all || is_public(at.ip())).collect();
            if usable.is_empty() {
                return Err(Refused::NotPublic.into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match a {
        // This network, private, loopback, multicast, reserved and broadcast.
        0 | 10 | 127 | 224..=255 => true,
        // Shared by carriers (NAT).
        100 => (64..128).contains(&b),
        // Link-local, metadata services among them.
        169 => b == 254,
        172 => (16..32).contains(&b),
        // Protocol assignments, documentation, relays of old, private.
        192 => matches!((b, c), (0, 0 | 2) | (88, 99)) || b == 168,
        // Benchmarks, documentation.
        198 => matches!(b, 18 | 19) || (b, c) == (51, 100),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !special
}

/// The IPv4 address inside: mapped, compatible, of a NAT64 or 6to4 gateway.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        // ::1 and :: are themselves; what else begins so is an IPv4 address of old.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    // Only 2000::/3 is given out; within it documentation, Teredo and other protocol ranges are not for us.
    s[0] & 0xe000 == 0x2000
        && !(s[0] == 0x2001 && s[1] < 0x0200)
        && !(s[0] == 0x2001 && s[1] == 0x0db8)
        && s[0] & 0xfff0 != 0x3ff0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public() {
        for ip in [
            "93.184.216.34",
            "8.8.8.8",
            "100.63.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "fec0::1",
            "100::1",
            "64:ff9b:1::1",
            "3fff::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn links_in_all_their_spellings() {
        let rules = Rules::default();
        let check = |url: &str| rules.check(&Url::parse(url).unwrap());
        assert_eq!(check("https://media.example.com/x?y=1"), Ok(()));
        assert_eq!(check("http://93.184.216.34/"), Ok(()));
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert_eq!(check(url), Err(Refused::NotPublic), "{url}");
        }
        assert_eq!(check("ftp://example.com/"), Err(Refused::Scheme));
        assert_eq!(check("file:///etc/passwd"), Err(Refused::Scheme));
        assert_eq!(check("https://user:word@example.com/"), Err(Refused::Credentials));
        let rules = Rules { allowed_hosts: vec!["127.0.0.1".into()], allow_private: false };
        assert_eq!(rules.check(&Url::parse("http://127.0.0.1:9/").unwrap()), Ok(()));
        assert_eq!(
            rules.check(&Url::parse("http://127.0.0.2:9/").unwrap()),
            Err(Refused::NotPublic)
        );
    }
}
