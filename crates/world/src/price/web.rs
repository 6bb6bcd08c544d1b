//! Fetching pages, politely: one request at a time, spaced, cached, and none where a site said no.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::SourceError;
use super::robots::Robots;
use crate::store::Store;

/// How this program calls itself.
pub const AGENT: &str = concat!("localrig/", env!("CARGO_PKG_VERSION"));

/// Least time between two requests to one site.
pub const GAP: Duration = Duration::from_secs(2);

/// How long a fetched page stands for itself.
pub const CACHE: Duration = Duration::from_hours(7 * 24);

/// How long a site is left alone that says no without saying for how long.
const PAUSE: Duration = Duration::from_hours(24);

/// Most bytes of a page that are read: a price page has a few hundred kilobytes.
const MOST: u64 = 8 << 20;

/// How pages are fetched.
#[derive(Clone, Debug)]
pub struct Web {
    /// Sent as user agent.
    pub agent: String,
    /// Least time between two requests to one site.
    pub gap: Duration,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

impl Web {
    /// The polite defaults; `contact` tells a site's owner whom to ask.
    pub fn new(contact: Option<&str>) -> Self {
        let agent = match contact {
            Some(contact) => format!("{AGENT} (personal price check; {contact})"),
            None => format!("{AGENT} (personal price check)"),
        };
        Self { agent, gap: GAP, timeout: Duration::from_secs(20) }
    }

    /// A page, from the store while it is younger than [`CACHE`], and when it was read.
    ///
    /// Pages are kept by the caller, once they turned out to be readable.
    ///
    /// # Errors
    /// When the site said no, robots.txt forbids it, or no page came back.
    pub fn page(
        &self,
        store: &mut Store,
        address: &str,
        now: Timestamp,
    ) -> Result<(String, Timestamp), SourceError> {
        let since = now.saturating_sub(jiff::SignedDuration::try_from(CACHE).unwrap_or_default());
        if let Ok(since) = since
            && let Some(kept) = store.page(address, since)?
        {
            return Ok(kept);
        }
        let url = parsed(address)?;
        let host = host(&url);
        let robots = self.robots(store, &url, now)?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        if !robots.allows(&path) {
            return Err(SourceError::Robots { host, path });
        }
        let gap = robots.delay.map_or(self.gap, |delay| delay.max(self.gap));
        let body = self.request(store, &url, None, gap, now)?;
        Ok((body, now))
    }

    /// The rules of a site, kept as long as its pages.
    fn robots(
        &self,
        store: &mut Store,
        url: &reqwest::Url,
        now: Timestamp,
    ) -> Result<Robots, SourceError> {
        let Ok(place) = url.join("/robots.txt") else { return Ok(Robots::default()) };
        let address = place.to_string();
        let day = jiff::SignedDuration::from_hours(24);
        let since = now.saturating_sub(day).unwrap_or(now);
        if let Some((text, _)) = store.page(&address, since)? {
            return Ok(Robots::parse(&text, "localrig"));
        }
        match self.request(store, &place, None, self.gap, now) {
            Ok(text) => {
                store.keep_page(&address, &text, now)?;
                Ok(Robots::parse(&text, "localrig"))
            }
            // No rules: everything is allowed (RFC 9309, section 2.3.1.3).
            Err(SourceError::Status { status: 400..=499, .. }) => {
                store.keep_page(&address, "", now)?;
                Ok(Robots::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches without cache or robots.txt: for interfaces meant for programs.
    ///
    /// With a form, it is posted.
    ///
    /// # Errors
    /// As [`Web::page`].
    pub fn call(
        &self,
        store: &mut Store,
        address: &str,
        form: Option<&str>,
        now: Timestamp,
    ) -> Result<String, SourceError> {
        self.request(store, &parsed(address)?, form, self.gap, now)
    }

    fn request(
        &self,
        store: &mut Store,
        url: &reqwest::Url,
        form: Option<&str>,
        gap: Duration,
        now: Timestamp,
    ) -> Result<String, SourceError> {
        let host = host(url);
        if let Some(until) = store.paused_until(&host)?
            && until > now
        {
            let until = until.strftime("%Y-%m-%d %H:%M").to_string();
            return Err(SourceError::Paused { host, until });
        }
        let wait = store.take_turn(&host, gap, Timestamp::now())?;
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        match self.send(url, form) {
            Err(SourceError::Stop { host, status, retry_after }) => {
                let pause = retry_after.unwrap_or(PAUSE);
                let pause = jiff::SignedDuration::try_from(pause).unwrap_or_default();
                store.pause(&host, now.saturating_add(pause).unwrap_or(now))?;
                Err(SourceError::Stop { host, status, retry_after })
            }
            other => other,
        }
    }

    /// One request. Redirects within the site are followed, click-outs to shops never.
    fn send(&self, url: &reqwest::Url, form: Option<&str>) -> Result<String, SourceError> {
        install_crypto();
        let address = url.to_string();
        let broken = |said: String| SourceError::Connection { address: address.clone(), said };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let home = host(url);
        let within = reqwest::redirect::Policy::custom(move |attempt| {
            let target = attempt.url();
            if host(target) != home || is_click_out(target.path()) || attempt.previous().len() > 5 {
                attempt.stop()
            } else {
                attempt.follow()
            }
        });
        let client = reqwest::Client::builder()
            .user_agent(&self.agent)
            .timeout(self.timeout)
            .redirect(within)
            .build()
            .map_err(|error| broken(chain(&error)))?;
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                SourceError::Timeout { what: address.clone(), limit: self.timeout }
            } else {
                broken(chain(&error))
            }
        };
        runtime.block_on(async {
            let request = match form {
                Some(form) => client
                    .post(url.clone())
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .header("Accept", "text/csv")
                    .body(form.to_owned()),
                None => client.get(url.clone()),
            };
            let mut response = request.send().await.map_err(failed)?;
            let status = response.status();
            if matches!(status.as_u16(), 403 | 429 | 503) {
                let retry_after = retry_after(response.headers(), Timestamp::now());
                return Err(SourceError::Stop {
                    host: host(url),
                    status: status.as_u16(),
                    retry_after,
                });
            }
            if !status.is_success() {
                return Err(SourceError::Status {
                    address: address.clone(),
                    status: status.as_u16(),
                });
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                body.extend_from_slice(&chunk);
                if body.len() as u64 > MOST {
                    return Err(SourceError::TooLarge { address: address.clone(), limit: MOST });
                }
            }
            Ok(String::from_utf8_lossy(&body).into_owned())
        })
    }
}

/// Whether a path leads out to a shop: the site counts clicks there, and shops pay for them.
pub fn is_click_out(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with("ext_"))
}

fn parsed(address: &str) -> Result<reqwest::Url, SourceError> {
    let url = reqwest::Url::parse(address).map_err(|error| SourceError::Connection {
        address: address.to_owned(),
        said: error.to_string(),
    })?;
    if is_click_out(url.path()) {
        return Err(SourceError::Robots { host: host(&url), path: url.path().to_owned() });
    }
    Ok(url)
}

fn host(url: &reqwest::Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        said = format!("{said}: {next}");
        cause = next.source();
    }
    said
}

/// Seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

/// TLS needs to know whose cryptography to use, once in a process; a second call changes nothing.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
