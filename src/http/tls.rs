//! Servers whose certificates are not trusted: which, why, and what can be done.

use rustls::{CertificateError as Bad, Error as TlsError};
use std::error::Error;
use std::io;

/// Names of a certificate that a message repeats.
const NAMES: usize = 3;

/// What is wrong with the connection to `host`, and what to do, where an error has to do with TLS; `None` where it has not.
pub(super) fn told(error: &(dyn Error + 'static), host: &str) -> Option<(String, &'static str)> {
    let proxied = "; where a proxy opens connections, the certificate is the proxy's";
    Some(match tls(error)? {
        TlsError::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => (
                format!("nobody whom this machine trusts has signed the certificate of {host}"),
                "put the certificate of who signed it, be it your own or that of a proxy which opens connections, into a PEM file beside those of the system, \
                 and name that file in SSL_CERT_FILE",
            ),
            Bad::Expired | Bad::ExpiredContext { .. } => (
                format!("the certificate of {host} has expired"),
                "look at this machine's clock; if it is right, the server needs a new certificate",
            ),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => (
                format!("the certificate of {host} is not valid yet"),
                "look at this machine's clock; if it is right, the server needs another certificate",
            ),
            Bad::NotValidForNameContext { presented, .. } => {
                let more = if presented.len() > NAMES { " …" } else { "" };
                let bare = |name: &str| name.strip_prefix("DnsName(\"").and_then(|n| n.strip_suffix("\")")).unwrap_or(name).to_owned();
                let names = presented.iter().take(NAMES).map(|name| super::repeated(&bare(name))).collect::<Vec<_>>().join(" ");
                (format!("the certificate of {host} is for others: {names}{more}"), "write the address as the certificate names the server")
            }
            Bad::NotValidForName => {
                (format!("the certificate of {host} is for others"), "write the address as the certificate names the server")
            }
            other => (
                format!("the certificate of {host} is refused: {}{proxied}", super::repeated(&other.to_string())),
                "give the server a certificate for TLS servers, and name a PEM file with that of who signed it in SSL_CERT_FILE",
            ),
        },
        TlsError::InvalidMessage(_) => {
            (format!("{host} does not answer with TLS"), "write the address with http:// if the server has no TLS, and check the port")
        }
        _ => return None,
    })
}

/// The error of TLS among the causes of an error. Those of a connection hide in errors of input and output, which name only the cause of their own.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        at = inside.map(|e| e as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_its_host_and_a_remedy() {
        let wrapped = |e: TlsError| io::Error::other(io::Error::new(io::ErrorKind::InvalidData, e));
        let said = |bad: Bad| told(&wrapped(TlsError::InvalidCertificate(bad)), "h.example:8443").unwrap();
        let (what, remedy) = said(Bad::UnknownIssuer);
        assert!(what.contains("h.example:8443") && remedy.contains("SSL_CERT_FILE"), "{what}; {remedy}");
        for (bad, word) in [
            (Bad::Expired, "clock"),
            (Bad::NotValidYet, "clock"),
            (Bad::NotValidForName, "address"),
            (Bad::BadSignature, "SSL_CERT_FILE"),
            (Bad::InvalidPurpose, "TLS servers"),
        ] {
            let (what, remedy) = said(bad);
            assert!(what.contains("the certificate of h.example:8443") && remedy.contains(word), "{what}; {remedy}");
        }
        let name = rustls::pki_types::ServerName::try_from("h.example").unwrap().to_owned();
        let presented = ["a".repeat(1000), "b.example".into(), "DnsName(\"c.example\")".into(), "d.example".into()].to_vec();
        let (what, _) = said(Bad::NotValidForNameContext { expected: name, presented });
        assert!(what.contains("b.example c.example …") && what.len() < 500, "{what}");
        let (what, remedy) = told(&wrapped(TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType)), "h").unwrap();
        assert!(what.contains("h does not") && remedy.contains("http://"), "{what}; {remedy}");
        assert!(told(&io::Error::other("another"), "h").is_none());
        assert!(told(&wrapped(TlsError::HandshakeNotComplete), "h").is_none());
    }
}
