import { type Framework, frameworksOf, type TrainerSettings } from '@tributary/contracts/round'
import type { PythonTrainers } from '../../python-worker/python-trainers.ts'

/** What every agent can do by itself. */
export const builtInFrameworks = ['onnx', 'statistics'] as const satisfies readonly Framework[]

/** The part of a job that says where its trainer is from. */
type Chooses = Pick<TrainerSettings, 'framework' | 'otherFrameworks' | 'trainer'>

/**
 * The job in the first of its frameworks that this device has a trainer of, and only in that one. Where it has none, the task's own
 * framework stands, so that the refusal names it.
 */
export const inFrameworkOf = <Job extends { readonly trainer: Chooses }>(
  python: Pick<PythonTrainers, 'has'>,
  job: Job,
): Job => {
  const { otherFrameworks: _, trainer: name, ...settings } = job.trainer
  const isHere = (framework: Framework) => isBuiltIn(framework) || (name !== undefined && python.has(framework, name))
  const framework = frameworksOf(job.trainer).find(isHere) ?? settings.framework
  // The agent's own trainers have no name.
  const named = name === undefined || isBuiltIn(framework) ? {} : { trainer: name }
  return { ...job, trainer: { ...settings, framework, ...named } }
}

const isBuiltIn = (framework: Framework): boolean => builtInFrameworks.some(known => known === framework)
