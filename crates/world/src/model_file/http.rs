//! Model files on a web server, by range requests.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, LOCATION, RANGE};
use reqwest::{Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::location::shown;
use super::reader::ByteSource;
use super::{Limits, ModelFileError};

/// Most redirects that are followed.
const REDIRECTS: u32 = 8;

/// A client with its own small runtime: reading a header is a few requests, one after the other.
#[derive(Debug)]
pub struct HttpClient {
    runtime: Runtime,
    client: reqwest::Client,
    limits: Limits,
    /// Where the token may go, and the token.
    secret: Option<(Url, Secret)>,
    /// Hugging Face, or what stands in for it.
    endpoint: Url,
}

/// A token that no message shows.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// rustls has no default provider of ciphers; it is chosen once for the process.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else may have chosen already; theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

impl HttpClient {
    /// A client without a token.
    ///
    /// # Errors
    /// When the system gives no sockets or certificates.
    pub fn new(limits: &Limits) -> Result<Self, ModelFileError> {
        Self::with_endpoint("https://huggingface.co", None, limits)
    }

    /// A client for Hugging Face: `HF_ENDPOINT` names another host, `HF_TOKEN` opens gated
    /// repositories. The token goes to that host alone, and over an open line only to this machine.
    ///
    /// # Errors
    /// As [`HttpClient::new`]; when `HF_ENDPOINT` is no address.
    pub fn for_hub(limits: &Limits) -> Result<Self, ModelFileError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self::with_endpoint(&endpoint, set("HF_TOKEN").as_deref(), limits)
    }

    /// A client for a given host.
    ///
    /// # Errors
    /// As [`HttpClient::for_hub`].
    pub fn with_endpoint(
        endpoint: &str,
        token: Option<&str>,
        limits: &Limits,
    ) -> Result<Self, ModelFileError> {
        install_provider();
        let bad = |problem| ModelFileError::Location { text: endpoint.to_owned(), problem };
        let endpoint: Url = endpoint.parse().map_err(|_| bad("HF_ENDPOINT is no address"))?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host().is_none() {
            return Err(bad("HF_ENDPOINT is no http address"));
        }
        let failed = |message: String| ModelFileError::Unreachable {
            place: shown(&endpoint),
            tries: 0,
            message,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        // Redirects are followed by hand: the token must not follow them to another host.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limits.patience)
            .read_timeout(limits.patience)
            .user_agent(concat!("localrig/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(plain(&error)))?;
        let secret = token.map(|token| (endpoint.clone(), Secret(token.trim().to_owned())));
        Ok(Self { runtime, client, limits: *limits, secret, endpoint })
    }

    /// The host that stands for Hugging Face.
    pub(super) const fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// A file at an address; asks for its first byte to learn its length.
    ///
    /// # Errors
    /// When the server does not answer, says no or sends whole files only.
    pub fn open(&self, url: Url) -> Result<HttpSource<'_>, ModelFileError> {
        let mut source =
            HttpSource { client: self, name: shown(&url), url, size: 0, first: Vec::new() };
        let chunk = self.limits.chunk;
        let (bytes, size) = self.range(&source.url, 0, chunk)?;
        source.size = size;
        source.first = bytes;
        Ok(source)
    }

    /// The whole of a small file; `None` when the server has none.
    ///
    /// # Errors
    /// When the server does not answer or says no, or the file is larger than a document may be.
    pub fn document(&self, url: &Url) -> Result<Option<Vec<u8>>, ModelFileError> {
        let limit = self.limits.document;
        let outcome = self.retry(url, async |response: Response| {
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            check(url, response.status())?;
            body(url, response, limit, "a document").await.map(Some)
        })?;
        Ok(outcome)
    }

    /// Bytes of a range, and the length of the whole file.
    fn range(&self, url: &Url, offset: u64, length: u64) -> Result<(Vec<u8>, u64), ModelFileError> {
        let last = offset.saturating_add(length.max(1)) - 1;
        let range = format!("bytes={offset}-{last}");
        self.retry_with(url, Some(&range), async |response: Response| {
            if response.status() == StatusCode::OK {
                return Err(Failure::Final(ModelFileError::NoRange { place: shown(url) }));
            }
            if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                // An empty file has no first byte.
                return match total(&response) {
                    Some(size) if offset >= size => Ok((Vec::new(), size)),
                    _ => Err(Failure::Final(ModelFileError::NoRange { place: shown(url) })),
                };
            }
            check(url, response.status())?;
            let size = match (response.status(), start(&response), total(&response)) {
                (StatusCode::PARTIAL_CONTENT, Some(own), Some(size)) if own == offset => size,
                _ => return Err(Failure::Final(ModelFileError::NoRange { place: shown(url) })),
            };
            let wanted = length.min(size.saturating_sub(offset));
            let bytes = body(url, response, wanted, "an answer").await?;
            if (bytes.len() as u64) < wanted {
                return Err(Failure::Passing("the answer is shorter than promised".to_owned()));
            }
            Ok((bytes, size))
        })
    }

    fn retry<T>(
        &self,
        url: &Url,
        handle: impl AsyncFn(Response) -> Result<T, Failure>,
    ) -> Result<T, ModelFileError> {
        self.retry_with(url, None, handle)
    }

    /// Asks until there is an answer, an error that stays, or no patience left.
    fn retry_with<T>(
        &self,
        url: &Url,
        range: Option<&str>,
        handle: impl AsyncFn(Response) -> Result<T, Failure>,
    ) -> Result<T, ModelFileError> {
        let tries = self.limits.tries.max(1);
        self.runtime.block_on(async {
            let mut message = String::new();
            for attempt in 0..tries {
                if attempt > 0 {
                    tokio::time::sleep(Duration::from_millis(100) * 4_u32.pow(attempt - 1)).await;
                }
                // The whole exchange has an end, however slowly a server drips.
                let exchange = async { handle(self.ask(url, range).await?).await };
                match tokio::time::timeout(self.limits.patience * 2, exchange).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(Failure::Final(error))) => return Err(error),
                    Ok(Err(Failure::Passing(why))) => message = why,
                    Err(_) => "the answer took too long".clone_into(&mut message),
                }
            }
            Err(ModelFileError::Unreachable { place: shown(url), tries, message })
        })
    }

    /// One request, redirects followed.
    async fn ask(&self, url: &Url, range: Option<&str>) -> Result<Response, Failure> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.client.get(at.clone());
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            if let Some(token) = self.token_for(&at) {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.send().await.map_err(|error| Failure::Passing(plain(&error)))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = response
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok())
                .and_then(|location| at.join(location).ok())
                .filter(|next| matches!(next.scheme(), "http" | "https"));
            let Some(next) = next else {
                return Err(Failure::Final(ModelFileError::Status {
                    place: shown(&at),
                    status: response.status().as_u16(),
                }));
            };
            at = next;
        }
        Err(Failure::Final(ModelFileError::Redirects { place: shown(url), limit: REDIRECTS }))
    }

    /// The token, for the host it belongs to.
    fn token_for(&self, url: &Url) -> Option<&str> {
        let (home, Secret(token)) = self.secret.as_ref()?;
        let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let is_home = url.origin() == home.origin();
        (is_home && (url.scheme() == "https" || is_local)).then_some(token)
    }
}

/// Why a request has no answer.
enum Failure {
    /// Another try may help.
    Passing(String),
    /// It stays.
    Final(ModelFileError),
}

impl From<ModelFileError> for Failure {
    fn from(error: ModelFileError) -> Self {
        Self::Final(error)
    }
}

/// The causes of an error without its address, which may hold secrets.
fn plain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { String::new() };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { "the connection failed".to_owned() } else { text }
}

fn check(url: &Url, status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return Err(Failure::Passing(format!("the server answers {}", status.as_u16())));
    }
    Err(Failure::Final(ModelFileError::Status { place: shown(url), status: status.as_u16() }))
}

/// The body of an answer, however much the server sends: no more than `limit` is kept.
async fn body(
    url: &Url,
    mut response: Response,
    limit: u64,
    what: &'static str,
) -> Result<Vec<u8>, Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Failure::Passing(plain(&error)))?
    {
        let length = bytes.len() as u64 + chunk.len() as u64;
        if length > limit {
            let place = shown(url);
            return Err(Failure::Final(ModelFileError::TooMuch { place, what, limit }));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// `bytes START-END/TOTAL`.
fn content_range(response: &Response) -> Option<&str> {
    response.headers().get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes ")
}

fn start(response: &Response) -> Option<u64> {
    content_range(response)?.split_once('-')?.0.trim().parse().ok()
}

fn total(response: &Response) -> Option<u64> {
    content_range(response)?.rsplit_once('/')?.1.trim().parse().ok()
}

/// A file on a server.
#[derive(Debug)]
pub struct HttpSource<'a> {
    client: &'a HttpClient,
    name: String,
    url: Url,
    size: u64,
    /// What came with the first answer.
    first: Vec<u8>,
}

impl ByteSource for HttpSource<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, ModelFileError> {
        let length = length.min(self.size.saturating_sub(offset));
        if offset == 0 && length <= self.first.len() as u64 {
            self.first.truncate(length as usize);
            return Ok(std::mem::take(&mut self.first));
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        Ok(self.client.range(&self.url, offset, length)?.0)
    }
}
