import { invokedFunction } from '../invocation/invoked-function.ts'
import { versionJobHandler } from './jobs/version-job.ts'

export const handler = invokedFunction('version-jobs', versionJobHandler)
