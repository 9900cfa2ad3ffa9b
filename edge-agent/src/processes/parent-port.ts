/** The child's end of a `ChildLink`. */
export type ParentPort<Report> = {
  /** Sends a message; false when so much waits for the parent that more should wait. Dropped when the parent is gone. */
  readonly post: (report: Report) => boolean
}

/**
 * Takes messages from the parent, and ends with its channel.
 * @param onClose called when the parent asks for the end or is gone: whatever keeps this process alive is to be closed
 * @throws Error where the process was not started through a `ChildLink`
 */
export const openParentPort = <Request, Report>(
  onRequest: (request: Request) => void,
  onClose: () => void,
): ParentPort<Report> => {
  const send = process.send?.bind(process)
  if (send === undefined) throw new Error('This file runs only as a child process of the agent.')
  process.on('message', message => onRequest(message as Request))
  process.once('disconnect', onClose)
  // The signal of a terminal goes to the whole group: the parent decides when its children end.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})
  return { post: report => process.connected && send(report as object, undefined, undefined, () => {}) }
}
