import type { Work } from '../../policy/decide.ts'
import type { PolicyGate } from '../../policy/policy-gate.ts'
import type { JobControl } from './job-slot.ts'

/** Runs a job that is stopped once the owner's policy does not allow it any more. */
export const guarded = async <Job, Outcome>(
  policy: PolicyGate,
  work: Work,
  control: JobControl<Job>,
  run: (control: JobControl<Job>) => Promise<Outcome>,
): Promise<Outcome> => {
  using watch = policy.watch(work)
  return await run({ ...control, signal: AbortSignal.any([control.signal, watch.signal]) })
}
