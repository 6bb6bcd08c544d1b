//! What a site lets programs read: robots.txt (RFC 9309).

use std::time::Duration;

/// The rules for this program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Robots {
    /// `true` allows.
    rules: Vec<(bool, String)>,
    /// Least time between requests, where the site states one (not in the RFC, but common).
    pub delay: Option<Duration>,
}

impl Robots {
    /// The group for `agent`, else the one for everybody.
    pub fn parse(text: &str, agent: &str) -> Self {
        let (mut own, mut all) = (None::<Self>, None::<Self>);
        let (mut for_own, mut for_all, mut in_agents) = (false, false, false);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_lowercase(), value.trim());
            if key == "user-agent" {
                if !in_agents {
                    (for_own, for_all) = (false, false);
                }
                in_agents = true;
                let name = value.to_lowercase();
                if name == "*" {
                    for_all = true;
                    all.get_or_insert_default();
                } else if !name.is_empty() && agent.to_lowercase().starts_with(&name) {
                    for_own = true;
                    own.get_or_insert_default();
                }
                continue;
            }
            in_agents = false;
            for (applies, group) in [(for_own, &mut own), (for_all, &mut all)] {
                let Some(group) = group.as_mut().filter(|_| applies) else { continue };
                match key.as_str() {
                    // An empty rule forbids nothing.
                    "disallow" | "allow" if !value.is_empty() => {
                        group.rules.push((key == "allow", value.to_owned()));
                    }
                    "crawl-delay" => {
                        let seconds = value.parse::<f64>().ok();
                        let seconds = seconds.filter(|one| (0.0..=3600.0).contains(one));
                        group.delay = seconds.map(Duration::from_secs_f64);
                    }
                    _ => {}
                }
            }
        }
        own.or(all).unwrap_or_default()
    }

    /// Whether a path with its query may be read: the longest rule that fits decides, and of two
    /// equally long ones the one that allows.
    pub fn allows(&self, path: &str) -> bool {
        self.rules
            .iter()
            .filter(|(_, rule)| fits(rule, path))
            .max_by_key(|(allow, rule)| (rule.len(), *allow))
            .is_none_or(|(allow, _)| *allow)
    }
}

/// `*` stands for anything, `$` at the end for the end.
fn fits(rule: &str, path: &str) -> bool {
    let (rule, whole) = match rule.strip_suffix('$') {
        Some(rule) => (rule, true),
        None => (rule, false),
    };
    let mut parts = rule.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    // The last piece may also stand later than where it was first found.
    !whole || rest.is_empty() || last.is_some_and(|part| part.is_empty() || rest.ends_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_decides() {
        let robots = Robots::parse(
            "User-agent: *\nDisallow: /ext_*\nDisallow: /a/\nAllow: /a/b # a comment\nCrawl-delay: 5\n",
            "localrig",
        );
        let answers = ["/ext_click?x", "/a/c", "/a/b/c", "/produktsuche?q=x", "/"]
            .map(|path| robots.allows(path));
        assert_eq!(answers, [false, false, true, true, true]);
        assert_eq!(robots.delay, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_group_of_its_own_replaces_the_one_for_everybody() {
        let text =
            "User-agent: *\nDisallow:\n\nUser-agent: LocalRig\nUser-agent: other\nDisallow: /\n";
        assert!(!Robots::parse(text, "localrig").allows("/x"));
        assert!(Robots::parse(text, "somebody").allows("/x"));
    }

    #[test]
    fn an_end_mark_holds_the_rule_to_whole_paths() {
        let robots = Robots::parse("User-agent: *\nDisallow: /*.php$\n", "localrig");
        assert_eq!(
            [robots.allows("/a.php"), robots.allows("/a.php?x"), robots.allows("/a.php.php")],
            [false, true, false]
        );
    }
}
