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

let reached: (name: Failpoint) => void = () => {}

/** Called wherever a node passes a failpoint; by default nothing happens. */
export const onFailpoint = (action: (name: Failpoint) => void): void => {
  reached = action
}

export const failpoint = (name: Failpoint): void => reached(name)
