/** Points in the life of a durable thing at which the node may be made to die. */
export const failpoints = [
  'log.before-write',
  'log.before-sync',
  'log.after-sync',
  'spool.after-sync',
  'fold.after-sum',
  'fold.after-record',
  'fold.after-drop',
  'result.after-sum',
  'result.after-list',
  'result.after-record',
  'result.after-event',
] as const
export type Failpoint = (typeof failpoints)[number]

/** What happens at a failpoint, the n-th time that it is passed: a death without an orderly end, or a disk that fails. */
export type ArmedFailpoint = { readonly name: Failpoint; readonly count: number; readonly action: 'kill' | 'fail' }

let reached: (name: Failpoint) => void = () => {}

/** Called wherever a node passes a failpoint; by default nothing happens. */
export const failpoint = (name: Failpoint): void => reached(name)

/** What this process does at failpoints. */
export const onFailpoint = (action: (name: Failpoint) => void): void => {
  reached = action
}

/** Arms one failpoint of this process. */
export const armFailpoint = ({ name, count, action }: ArmedFailpoint): void => {
  let left = count
  onFailpoint(passed => {
    if (passed !== name) return
    left -= 1
    if (left !== 0) return
    // As a power cut or the kernel's memory killer does.
    if (action === 'kill') process.kill(process.pid, 'SIGKILL')
    else throw Object.assign(new Error(`EIO: i/o error at ${name}`), { code: 'EIO' })
  })
}

/** Reads `name`, `name:n` or `name:n:fail`; null where it is none. */
export const parseFailpoint = (text: string): ArmedFailpoint | null => {
  const [, wanted, count = '1', action = 'kill'] = /^([a-z.-]+)(?::([1-9]\d{0,5}))?(?::(kill|fail))?$/.exec(text) ?? []
  const name = failpoints.find(point => point === wanted)
  return name === undefined ? null : { name, count: Number(count), action: action as ArmedFailpoint['action'] }
}
