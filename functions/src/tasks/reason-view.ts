import { errorCatalogue } from '@tributary/contracts/errors'
import type { ReasonView } from '@tributary/contracts/task-views'
import type { Reason } from '../rounds/reason.ts'

/** What a person can do about a code: the catalogue's message; null for codes that are no refusals. */
export const actionOf = (code: string | null): string | null =>
  code !== null && Object.hasOwn(errorCatalogue, code)
    ? errorCatalogue[code as keyof typeof errorCatalogue].message
    : null

export const reasonView = (reason: Reason | null): ReasonView | null =>
  reason && { code: reason.code, detail: reason.detail, action: actionOf(reason.code) }
