import { setPriority } from 'node:os'

/** Has a process give way to others as nice(1) says. One that has ended, or may not go back up, is left as it is. */
export const giveWay = (pid: number | undefined, nice: number): void => {
  if (pid === undefined || nice === 0) return
  try {
    setPriority(pid, nice)
  } catch {
    // Less nice than before takes a right that few agents have: the next process begins anew.
  }
}
