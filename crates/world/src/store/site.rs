//! Pages fetched and sites asked: what keeps the program polite across runs.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::observation::parsed;
use super::{Store, StoreError, written};

impl Store {
    /// A page fetched at or after `since`, with the time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn page(
        &self,
        address: &str,
        since: Timestamp,
    ) -> Result<Option<(String, Timestamp)>, StoreError> {
        self.run(|connection| {
            connection
                .query_row(
                    "select body, taken from page where address = ?1 and taken >= ?2",
                    params![address, written(since)],
                    |row| Ok((row.get(0)?, parsed(row, 1)?)),
                )
                .optional()
        })
    }

    /// Keeps a page that could be read.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_page(
        &mut self,
        address: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|transaction| {
            transaction.execute(
                "insert or replace into page (address, taken, body) values (?1, ?2, ?3)",
                params![address, written(now), body],
            )
        })?;
        Ok(())
    }

    /// Until when a site wants to be left alone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn paused_until(&self, host: &str) -> Result<Option<Timestamp>, StoreError> {
        self.run(|connection| {
            connection
                .query_row(
                    "select paused_until from site where host = ?1 and paused_until is not null",
                    [host],
                    |row| parsed(row, 0),
                )
                .optional()
        })
    }

    /// Takes the next turn to ask a site, `gap` after the last one of any process; how long to wait
    /// for it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn take_turn(
        &mut self,
        host: &str,
        gap: Duration,
        now: Timestamp,
    ) -> Result<Duration, StoreError> {
        let now = now.as_millisecond();
        let gap = i64::try_from(gap.as_millis()).unwrap_or(i64::MAX);
        let turn = self.change(|transaction| {
            let last: Option<i64> = transaction
                .query_row("select asked from site where host = ?1", [host], |row| row.get(0))
                .optional()?
                .flatten();
            // A last turn far ahead was taken by a clock that has been set back since.
            let turn =
                last.filter(|last| *last <= now + 20 * gap).map_or(now, |last| now.max(last + gap));
            transaction.execute(
                "insert into site (host, asked) values (?1, ?2) \
                 on conflict (host) do update set asked = excluded.asked",
                params![host, turn],
            )?;
            Ok(turn)
        })?;
        Ok(Duration::from_millis(u64::try_from(turn - now).unwrap_or(0)))
    }

    /// Notes that a site wants to be left alone.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn pause(&mut self, host: &str, until: Timestamp) -> Result<(), StoreError> {
        self.change(|transaction| {
            transaction.execute(
                "insert into site (host, paused_until) values (?1, ?2) \
                 on conflict (host) do update set paused_until = excluded.paused_until",
                params![host, written(until)],
            )
        })?;
        Ok(())
    }
}
