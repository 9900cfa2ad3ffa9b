import { readFile } from 'node:fs/promises'

/** USER_HZ of Linux, ticks a second. */
const ticks = 100

/** Seconds of CPU that a process took so far, all threads, user and system. */
export const cpuSeconds = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // Behind the name, which may hold anything: state is field 3, utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticks
}

const megabytes = async (pid: number, field: string): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  // The kernel's kB are 1024 bytes.
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6
}

/** Resident memory now, MB of 10^6 bytes. */
export const residentMegabytes = (pid: number): Promise<number> => megabytes(pid, 'VmRSS')

/** The most that was resident, MB of 10^6 bytes. */
export const peakMegabytes = (pid: number): Promise<number> => megabytes(pid, 'VmHWM')
