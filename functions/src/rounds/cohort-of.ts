import type { CohortPolicy } from '@tributary/contracts/round'
import { CohortSize, type CreateTask } from '@tributary/contracts/tasks'

export type Cohort = { readonly policy: CohortPolicy; readonly size: CohortSize }

/** One device, and no other in its place. */
const alone = CohortSize.parse({ goal: 1, overSelection: 1 })

/** Who may take part in the rounds of a task, and how many. A dry run is its device's alone, whatever the cohort asks. */
export const cohortOf = ({ cohort, dryRun }: Pick<CreateTask, 'cohort' | 'dryRun'>): Cohort => {
  const { dataset, groups, minimumExamples, labels, conditions, size } = cohort
  if (dryRun !== undefined) {
    return { policy: { dataset, groups: [], minimumExamples, devices: [dryRun.device] }, size: alone }
  }
  const policy: CohortPolicy = {
    dataset,
    groups,
    minimumExamples,
    ...(labels !== undefined && Object.keys(labels).length > 0 && { labels }),
    ...(conditions !== undefined && conditions.length > 0 && { conditions }),
  }
  return { policy, size }
}
