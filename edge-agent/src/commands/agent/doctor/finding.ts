/** Who can change what is wrong. */
export type Mender = 'owner' | 'network' | 'operator'

/** What a check found. */
export type Outcome =
  | { readonly state: 'ok' | 'skipped'; readonly message: string }
  | { readonly state: 'warning' | 'failed'; readonly message: string; readonly mender: Mender }

export type Finding = Outcome & {
  readonly check: string
  /** What was looked at: a file, an address. */
  readonly subject: string
}

export const menders: Readonly<Record<Mender, string>> = {
  owner: 'the owner of this device',
  network: 'the administrator of this network',
  operator: 'the operator of the federation',
}

export const ok = (message: string): Outcome => ({ state: 'ok', message })
export const skipped = (message: string): Outcome => ({ state: 'skipped', message })
export const warning = (mender: Mender, message: string): Outcome => ({ state: 'warning', message, mender })
export const failed = (mender: Mender, message: string): Outcome => ({ state: 'failed', message, mender })

/** A check by its name, with a deadline of its own. Its error is a finding; rejects only when `signal` aborts. */
export const runCheck = async (
  check: string,
  subject: string,
  { seconds, mender, signal }: { readonly seconds: number; readonly mender: Mender; readonly signal: AbortSignal },
  look: (signal: AbortSignal) => Promise<Outcome>,
): Promise<Finding> => {
  signal.throwIfAborted()
  const deadline = AbortSignal.timeout(seconds * 1000)
  const late = Promise.withResolvers<Outcome>()
  deadline.addEventListener('abort', () => late.resolve(failed(mender, `No answer within ${seconds} s.`)), {
    once: true,
  })
  try {
    const outcome = await Promise.race([look(AbortSignal.any([signal, deadline])), late.promise])
    return { check, subject, ...outcome }
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) return { check, subject, ...(await late.promise) }
    return { check, subject, ...failed(mender, (error as Error).message) }
  }
}
