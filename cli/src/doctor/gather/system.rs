//! The machine: users, groups, processes, the clock.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::doctor::facts::Account;

/// `/etc/passwd` and `/etc/group`.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Name: user id, group id.
    users: BTreeMap<String, (u32, u32)>,
    /// Name: group id, members.
    groups: BTreeMap<String, (u32, Vec<String>)>,
}

impl People {
    pub(super) fn read(root: &Path) -> Self {
        let mut people = Self::default();
        let lines = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
        for line in lines("etc/passwd").lines() {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next(), fields.next(), fields.next(), fields.next());
            if let (Some(name), Some(Ok(uid)), Some(Ok(gid))) =
                (name, uid.map(str::parse), gid.map(str::parse))
            {
                people.users.insert(name.into(), (uid, gid));
            }
        }
        for line in lines("etc/group").lines() {
            let mut fields = line.split(':');
            let (name, _, gid, members) = (fields.next(), fields.next(), fields.next(), fields.next());
            if let (Some(name), Some(Ok(gid))) = (name, gid.map(str::parse)) {
                let members = members.unwrap_or_default().split(',').map(str::to_owned).collect();
                people.groups.insert(name.into(), (gid, members));
            }
        }
        people
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.users.values().map(|(uid, _)| *uid).collect()
    }

    pub(super) fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|(gid, _)| *gid)
    }

    pub(super) fn group_name(&self, gid: u32) -> String {
        let found = self.groups.iter().find(|(_, (g, _))| *g == gid);
        found.map_or_else(|| gid.to_string(), |(name, _)| name.clone())
    }

    fn user_name(&self, uid: u32) -> String {
        let found = self.users.iter().find(|(_, (u, _))| *u == uid);
        found.map_or_else(|| uid.to_string(), |(name, _)| name.clone())
    }

    /// A user by name, with the groups that the unit adds.
    pub(super) fn account(&self, name: &str, more: &[String]) -> Option<Account> {
        let (uid, gid) = *self.users.get(name)?;
        let member = self.groups.values().filter(|(_, members)| members.iter().any(|m| m == name));
        let added = more.iter().filter_map(|g| self.group(g));
        let groups = [gid].into_iter().chain(member.map(|(g, _)| *g)).chain(added).collect();
        Some(Account { name: name.into(), uid, groups })
    }

    /// What a process really runs as.
    pub(super) fn of_process(&self, root: &Path, pid: u32) -> Option<Account> {
        let status = fs::read_to_string(root.join(format!("proc/{pid}/status"))).ok()?;
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.unwrap_or_default().split_whitespace().filter_map(|n| n.parse().ok()).collect()
        };
        // Real, effective, saved, of the file system.
        let uid = *numbers("Uid:").get(1)?;
        let mut groups = numbers("Groups:");
        groups.extend(numbers("Gid:").get(1));
        Some(Account { name: self.user_name(uid), uid, groups })
    }
}

/// When a process was started, Unix milliseconds.
pub(super) fn started_ms(root: &Path, pid: u32, now_ms: i64) -> Option<i64> {
    let stat = fs::read_to_string(root.join(format!("proc/{pid}/stat"))).ok()?;
    // Behind the name, which may have anything in it: state is the first, starttime the twentieth (proc(5)).
    let ticks: i64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string(root.join("proc/uptime")).ok()?;
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let up: i64 = seconds.parse::<i64>().ok()?.checked_mul(100)?.checked_add(hundredths.parse().ok()?)?;
    // USER_HZ is 100 on every machine that this runs on.
    Some(now_ms - (up - ticks) * 10)
}

/// Something keeps the kernel's clock right (`STA_UNSYNC` is clear, adjtimex(2)).
#[allow(unsafe_code)]
pub(crate) fn synchronised() -> Option<bool> {
    // SAFETY: `timex` is plain data, all zeroes is a valid value, and `modes` 0 only reads.
    let (code, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex.status)
    };
    (code >= 0).then_some(status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_those_of_the_files() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\ntilld:x:990:985::/:/x\nbad\n")
            .unwrap();
        fs::write(root.path().join("etc/group"), "dialout:x:20:tilld,pi\nlp:x:7:\ntilld:x:985:\n").unwrap();
        let people = People::read(root.path());
        let account = people.account("tilld", &["lp".into(), "nothing".into()]).unwrap();
        assert_eq!((account.uid, account.groups), (990, vec![985, 20, 7]));
        assert_eq!((people.group_name(20), people.group_name(77)), ("dialout".into(), "77".into()));
        assert_eq!(people.account("nobody-here", &[]), None);
    }

    #[test]
    fn a_process_tells_who_it_is_and_when_it_began() {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc/7");
        fs::create_dir_all(&proc).unwrap();
        fs::write(
            proc.join("status"),
            "Name:\ttilld\nUid:\t1\t990\t1\t1\nGid:\t5\t985\t5\t5\nGroups:\t20 7 \n",
        )
        .unwrap();
        let before = "S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0";
        fs::write(proc.join("stat"), format!("7 (ti) lld) {before} 5000 1 1")).unwrap();
        fs::write(root.path().join("proc/uptime"), "60.50 100.00\n").unwrap();
        let account = People::default().of_process(root.path(), 7).unwrap();
        assert_eq!((account.uid, account.groups), (990, vec![20, 7, 985]));
        assert_eq!(started_ms(root.path(), 7, 1_000_000), Some(1_000_000 - 10_500));
    }
}
