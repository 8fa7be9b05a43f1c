//! HTTP/1.1 clients, plain and with TLS, for model servers and for the Hugging Face hub.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// Time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// A client of addresses of one scheme.
pub(crate) enum Client {
    Plain(legacy::Client<HttpConnector, Full<Bytes>>),
    #[cfg(feature = "https")]
    Secure(legacy::Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Why there is no client, and what to do.
#[derive(Debug)]
pub(crate) struct ClientError {
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

impl Client {
    /// A client of addresses that begin as `url` does: `http://` without, all else with TLS.
    pub(crate) fn new(url: &str) -> Result<Self, ClientError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let builder = legacy::Client::builder(TokioExecutor::new());
        if url.starts_with("http://") {
            return Ok(Self::Plain(builder.build(connector)));
        }
        #[cfg(feature = "https")]
        {
            connector.enforce_http(false);
            let tls = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots().map_err(|e| ClientError {
                what: format!("this machine's certificates cannot be read: {e}"),
                remedy: "install ca-certificates, or name a file of them in SSL_CERT_FILE",
            })?;
            Ok(Self::Secure(builder.build(tls.https_only().enable_http1().wrap_connector(connector))))
        }
        #[cfg(not(feature = "https"))]
        Err(ClientError { what: "this build knows no https".into(), remedy: "build with --features https, or use http" })
    }

    pub(crate) fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Plain(client) => client.request(request),
            #[cfg(feature = "https")]
            Self::Secure(client) => client.request(request),
        }
    }
}

/// The last cause of an error: hyper's own message names the stage only.
pub(crate) fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}
