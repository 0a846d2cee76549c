//! Seccomp: system calls that no plugin has any business with answer `EPERM`.
//!
//! A deny list, not an allow list: a plugin brings its own standard library, and a killed till is worse than a call that
//! is merely refused. What it must stop is listed by purpose below.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};
use till_plugin::proto::Layer;

use super::layer;
use crate::options::Options;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused whatever their arguments.
const DENIED: &[i64] = &[
    // Running another program, looking into or steering another process.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_tkill,
    // The file system's shape.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_mknodat,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Keys and identities.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
];

/// Closes the calls.
pub(crate) fn calls(options: &Options) -> Layer {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return layer("seccomp", format!("off: no filter for {}", std::env::consts::ARCH));
    };
    match filters(options, arch)
        .and_then(|filters| filters.iter().try_for_each(|f| apply_filter_all_threads(f)))
    {
        Ok(()) => layer("seccomp", "full"),
        Err(e) => layer("seccomp", format!("off: {e}")),
    }
}

fn filters(options: &Options, arch: TargetArch) -> Result<[BpfProgram; 2], seccompiler::Error> {
    let mut denied = Rules::new();
    for number in DENIED {
        denied.insert(*number, Vec::new());
        // The same numbers of the x32 table, where a kernel still has it.
        #[cfg(target_arch = "x86_64")]
        denied.insert(*number | X32, Vec::new());
    }
    #[cfg(target_arch = "x86_64")]
    for number in [520, 521, 539, 540, 545] {
        // execve, ptrace, process_vm_readv, process_vm_writev, execveat of x32
        denied.insert(number | X32, Vec::new());
    }
    conditional(options, &mut denied)?;
    let errno = |e: i32| SeccompAction::Errno(e.cast_unsigned());
    let deny = SeccompFilter::new(denied, SeccompAction::Allow, errno(libc::EPERM), arch)?;
    // Its flags lie behind a pointer and cannot be judged: pretend it does not exist, and libc uses `clone`.
    let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let absent = SeccompFilter::new(clone3, SeccompAction::Allow, errno(libc::ENOSYS), arch)?;
    Ok([deny.try_into()?, absent.try_into()?])
}

#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

fn conditional(options: &Options, denied: &mut Rules) -> Result<(), seccompiler::Error> {
    let me = u64::from(std::process::id());
    let is = |arg, op, value| SeccompCondition::new(arg, SeccompCmpArgLen::Dword, op, value);
    // Signals to others: the daemon runs as the same user. Aborting oneself stays possible.
    for number in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo] {
        denied.insert(number, vec![SeccompRule::new(vec![is(0, SeccompCmpOp::Ne, me)?])?]);
    }
    // Limits of others (0 is oneself).
    let others = vec![is(0, SeccompCmpOp::Ne, me)?, is(0, SeccompCmpOp::Ne, 0)?];
    denied.insert(libc::SYS_prlimit64, vec![SeccompRule::new(others)?]);
    // A process that is not a thread.
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    let no_thread = is(0, SeccompCmpOp::MaskedEq(thread), 0)?;
    denied.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_thread])?]);
    // Undoing the layers below.
    let undoing = [libc::PR_SET_PDEATHSIG, libc::PR_SET_DUMPABLE, libc::PR_SET_PTRACER]
        .into_iter()
        .map(|option| {
            let option = u64::from(option.cast_unsigned());
            SeccompRule::new(vec![is(0, SeccompCmpOp::Eq, option)?])
        })
        .collect::<Result<Vec<_>, _>>();
    denied.insert(libc::SYS_prctl, undoing?);
    // Sockets. Landlock knows TCP only, and not on every kernel. Unix sockets lead to the buses of the machine, as the
    // daemon's own user.
    let sockets = if options.network {
        let family = |family: i32| is(0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned()));
        let neither = vec![family(libc::AF_INET)?, family(libc::AF_INET6)?, family(libc::AF_NETLINK)?];
        // Name resolution asks the routing netlink for addresses; the others configure the machine.
        let netlink = vec![
            is(0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.cast_unsigned()))?,
            is(2, SeccompCmpOp::Ne, u64::from(libc::NETLINK_ROUTE.cast_unsigned()))?,
        ];
        let raw = vec![
            is(1, SeccompCmpOp::MaskedEq(0xf), u64::from(libc::SOCK_RAW.cast_unsigned()))?,
            is(0, SeccompCmpOp::Ne, u64::from(libc::AF_NETLINK.cast_unsigned()))?,
        ];
        vec![SeccompRule::new(neither)?, SeccompRule::new(netlink)?, SeccompRule::new(raw)?]
    } else {
        Vec::new()
    };
    denied.insert(libc::SYS_socket, sockets);
    Ok(())
}
