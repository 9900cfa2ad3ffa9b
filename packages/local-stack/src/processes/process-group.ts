import { setTimeout as delay } from 'node:timers/promises'

/** Sends `signal` to every process of the group that `leaderPid` leads; false when none is left. */
export function signalGroup(leaderPid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-leaderPid, signal)
    return true
  } catch (error) {
    // EPERM: the group lives, but belongs to another user (Postgres as uid 65534 seen from a plain user).
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Resolves with true when no process of the group is left, false at the deadline. */
export async function groupEnded(leaderPid: number, deadlineMs: number): Promise<boolean> {
  const end = Date.now() + deadlineMs
  for (;;) {
    if (!signalGroup(leaderPid, 0)) return true
    if (Date.now() >= end) return false
    await delay(20)
  }
}

/** True when a process with this id exists. */
export function processAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
