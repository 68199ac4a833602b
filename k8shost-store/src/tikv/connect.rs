//! Connecting to a cluster, and finding out why that does not work: the client tells it to its own log
//! only.

use std::error::Error as _;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::join_all;
use tikv_client::{Config, Error, RawClient, SecurityManager};

/// A new client. It reads the files for TLS.
pub(super) async fn connect(endpoints: Vec<String>, config: Config) -> Result<RawClient, String> {
    let client = RawClient::new_with_config(endpoints.clone(), config.clone());
    match AssertUnwindSafe(client).catch_unwind().await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(_)) => Err(why(&endpoints, &config).await),
        Err(_) => Err("the client panicked as it connected".to_owned()),
    }
}

/// Why there is no client.
async fn why(endpoints: &[String], config: &Config) -> String {
    let files = (&config.ca_path, &config.cert_path, &config.key_path);
    let (security, refused) = match files {
        (Some(ca), Some(cert), Some(key)) => match SecurityManager::load(ca, cert, key) {
            Ok(security) => {
                let cert = cert.display();
                (security, format!("does not accept the certificate {cert}"))
            }
            Err(error) => return text(&error),
        },
        _ => (SecurityManager::default(), "wants TLS".to_owned()),
    };
    let looks = endpoints.iter().map(async |endpoint| {
        match security.connect(endpoint, drop).await {
            // Whether our certificate is accepted is told only after the connection is there.
            Ok(()) => format!("{endpoint} can be reached, but has no leader, or {refused}"),
            Err(error) => format!("{endpoint}: {}", text(&error)),
        }
    });
    format!("PD at {}", join_all(looks).await.join("; "))
}

/// What an error says, with what is behind it.
pub(super) fn text(error: &Error) -> String {
    let (mut text, mut behind) = match error {
        // Before it is where in the client's code it was made.
        Error::InternalError { message } => {
            let own = message.split_once("]: ").map_or(&**message, |(_, own)| own);
            (own.to_owned(), None)
        }
        Error::Grpc(error) => (error.to_string(), error.source()),
        Error::GrpcAPI(status) => {
            let text = format!("{:?}: {}", status.code(), status.message());
            (text, status.source())
        }
        _ => (error.to_string(), None),
    };
    while let Some(error) = behind {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = error.source();
    }
    text
}
