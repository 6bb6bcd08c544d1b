//! toppreise.ch, read directly. Off unless the configuration switches it on.

use jiff::Timestamp;
use localrig_facts::Date;
use localrig_facts::price::page_number;

use super::error::SourceError;
use super::offer::{Answer, PriceSource, Wanted};
use super::toppreise_page;
use super::web::Web;
use crate::store::Store;

/// The site.
pub const SITE: &str = "https://www.toppreise.ch";

/// Most products of a search that are looked at.
const PRODUCTS: usize = 3;

/// The site, read page by page.
#[derive(Debug)]
pub struct ToppreiseSite {
    web: Web,
    base: String,
    store: Store,
}

impl ToppreiseSite {
    /// The site at `base`, which is [`SITE`] or a mirror of it; its pages are kept in `store`.
    pub fn new(web: Web, base: &str, store: Store) -> Self {
        Self { web, base: base.trim_end_matches('/').to_owned(), store }
    }

    /// The address of a page at the site that is asked, whichever way it was written.
    fn address(&self, page: &str) -> String {
        let path = page.strip_prefix(SITE).or_else(|| page.strip_prefix(self.base.as_str()));
        let path = path.unwrap_or(page).split('#').next().unwrap_or_default();
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }

    /// The offers of a product page.
    fn product(&mut self, page: &str, now: Timestamp) -> Result<Answer, SourceError> {
        let address = self.address(page);
        let (text, read) = self.web.page(&mut self.store, &address, now)?;
        let day: Date = read.to_zoned(jiff::tz::TimeZone::system()).date().into();
        // Rows name the public page, whatever mirror it was read from.
        let public = address.replacen(&self.base, SITE, 1);
        let answer = toppreise_page::offers(&text, &public, day)?;
        if read == now {
            self.store.keep_page(&address, &text, now)?;
        }
        Ok(answer)
    }
}

impl PriceSource for ToppreiseSite {
    fn key(&self) -> &'static str {
        "toppreise"
    }

    fn region(&self) -> &'static str {
        "ch"
    }

    fn offers(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Answer, SourceError> {
        let known = wanted
            .pages
            .iter()
            .find(|page| page_number(page).is_some_and(|number| number.starts_with('p')));
        if let Some(page) = known {
            return self.product(page, now);
        }
        let query = reqwest::Url::parse_with_params("http://q/", [("q", &wanted.query)])
            .ok()
            .and_then(|url| url.query().map(str::to_owned))
            .unwrap_or_default();
        let address = format!("{}/produktsuche?{query}", self.base);
        let (text, read) = self.web.page(&mut self.store, &address, now)?;
        let hits = toppreise_page::hits(&text)?;
        if read == now {
            self.store.keep_page(&address, &text, now)?;
        }
        let mut answer = Answer::default();
        for hit in hits.iter().take(PRODUCTS) {
            match self.product(&hit.page, now) {
                Ok(mut one) => {
                    answer.offers.append(&mut one.offers);
                    answer.remarks.append(&mut one.remarks);
                }
                // One product that cannot be read does not spoil the others.
                Err(error) if !error.is_final() => answer.remarks.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }
}
