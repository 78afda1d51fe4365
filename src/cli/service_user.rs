//! The user that the service runs as, for root, who may read everything and would find everything good.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The user and group of `fuotad.sysusers`.
const NAME: &str = "fuotad";
/// Where a configuration is the service's, whether it ran before or not.
const ETC: &str = "/etc/fuotad";
/// Where the unit may lie.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/fuotad.service",
    "/usr/lib/systemd/system/fuotad.service",
    "/lib/systemd/system/fuotad.service",
];
const READ: u32 = 0o4;
const SEARCH: u32 = 0o1;

/// The user that the service runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUser {
    /// Its name, as people are told it.
    pub name: String,
    /// The user's number (uid) in the system.
    pub uid: u32,
    /// The group's number (gid) in the system.
    pub gid: u32,
    /// Further groups of the user.
    more: Vec<u32>,
}

impl ServiceUser {
    /// The user of the service with this configuration and this state folder, when root asks: the owner of the state folder,
    /// or whoever `fuotad.sysusers` makes. `None`: we are somebody else, or nobody can say.
    #[expect(clippy::disallowed_methods, reason = "the command line reads who is who")]
    pub fn of(config: &Path, state_dir: &Path) -> Option<ServiceUser> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        match std::fs::metadata(state_dir) {
            Ok(folder) if folder.uid() != 0 => {
                let name = name_of(&passwd, folder.uid()).unwrap_or_else(|| folder.uid().to_string());
                let more = groups_of(&groups, &name);
                Some(ServiceUser { name, uid: folder.uid(), gid: folder.gid(), more })
            }
            _ if config.starts_with(ETC) => named(&passwd, &groups, NAME),
            _ => None,
        }
    }

    /// The group's name, or its number.
    #[expect(clippy::disallowed_methods, reason = "the command line reads who is who")]
    pub fn group(&self) -> String {
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        name_of(&groups, self.gid).unwrap_or_else(|| self.gid.to_string())
    }

    /// Whether the user can read the file `path`; if not, what is in the way and how it goes away.
    ///
    /// # Errors
    /// One line with the path, the mode and what to do.
    pub fn can_read(&self, path: &Path) -> Result<(), String> {
        let Ok(path) = path.canonicalize() else { return Ok(()) };
        let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        for folder in folders.collect::<Vec<_>>().into_iter().rev() {
            if let Some(mode) = self.lacks(folder, SEARCH) {
                return Err(format!(
                    "{}: the service's user {} cannot look into {} (mode {mode:o}): chgrp {} and chmod g+x it, or put the file elsewhere",
                    path.display(),
                    self.name,
                    folder.display(),
                    self.group()
                ));
            }
        }
        let wanted = if path.is_dir() { READ | SEARCH } else { READ };
        match self.lacks(&path, wanted) {
            None => Ok(()),
            Some(mode) => {
                let (group, shown) = (self.group(), path.display());
                let chmod = if path.is_dir() { "0750" } else { "0640" };
                Err(format!(
                    "{shown}: the service's user {} cannot read it (mode {mode:o}): chgrp {group} {shown} && chmod {chmod} {shown}",
                    self.name
                ))
            }
        }
    }

    /// The mode of `path`, when it withholds something of `wanted` from the user.
    fn lacks(&self, path: &Path, wanted: u32) -> Option<u32> {
        let metadata = std::fs::metadata(path).ok()?;
        (self.rights(&metadata) & wanted != wanted).then_some(metadata.mode() & 0o777)
    }

    /// What the user may do with a file: the bits of the first class that it is in.
    fn rights(&self, metadata: &Metadata) -> u32 {
        let mode = metadata.mode();
        if metadata.uid() == self.uid {
            mode >> 6 & 7
        } else if metadata.gid() == self.gid || self.more.contains(&metadata.gid()) {
            mode >> 3 & 7
        } else {
            mode & 7
        }
    }

    /// Gives what root made to the service's group.
    ///
    /// # Errors
    /// The files of the system's users and groups.
    pub fn give_to_group(&self, file: &std::fs::File) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        std::os::unix::fs::fchown(file, None, Some(self.gid))?;
        file.set_permissions(std::fs::Permissions::from_mode(0o640))
    }
}

/// Whether the unit is installed here, so that what it hides is hidden for certain.
pub fn has_unit() -> bool {
    UNITS.iter().any(|unit| Path::new(unit).exists())
}

/// The first column of the line whose third is `number`, in passwd(5) and group(5).
fn name_of(table: &str, number: u32) -> Option<String> {
    let number = number.to_string();
    let mut lines = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|line| line.get(2) == Some(&number.as_str()))?;
    Some((*line.first()?).to_owned())
}

fn named(passwd: &str, groups: &str, name: &str) -> Option<ServiceUser> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|line| line.first() == Some(&name))?;
    let number = |at: usize| line.get(at)?.parse().ok();
    Some(ServiceUser {
        name: name.to_owned(),
        uid: number(2)?,
        gid: number(3)?,
        more: groups_of(groups, name),
    })
}

/// The groups that `name` is a member of.
fn groups_of(groups: &str, name: &str) -> Vec<u32> {
    let lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let its = lines
        .filter(|line| line.get(3).is_some_and(|members| members.split(',').any(|member| member == name)));
    its.filter_map(|line| line.get(2)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_s_user_is_read_with_all_its_groups() {
        let passwd = "root:x:0:0::/root:/bin/sh\nfuotad:x:999:995::/var/lib/fuotad:/usr/sbin/nologin\n";
        let groups = "root:x:0:\nfuotad:x:995:\ndialout:x:20:ann,fuotad\nkeys:x:7:fuotadx\n";
        let user = named(passwd, groups, "fuotad").unwrap();
        assert_eq!((user.uid, user.gid, user.more), (999, 995, vec![20]));
        assert_eq!(name_of(groups, 995).as_deref(), Some("fuotad"));
        assert_eq!(named(passwd, groups, "nobody"), None);
    }
}
