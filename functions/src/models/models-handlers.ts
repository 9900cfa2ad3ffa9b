import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { createModel } from './create-model.ts'
import { createVersion } from './create-version.ts'
import { downloadVersion } from './download-version.ts'
import { finaliseVersion } from './finalise-version.ts'
import { getModel } from './get-model.ts'
import { getVersion } from './get-version.ts'
import { listModels } from './list-models.ts'
import { listVersions } from './list-versions.ts'

export const modelsHandlers = (
  context: Pick<Context, 'database' | 'store' | 'audit' | 'ids' | 'clock'>,
): Handlers<'models'> => ({
  createModel: createModel(context),
  listModels: listModels(context),
  getModel: getModel(context),
  createVersion: createVersion(context),
  finaliseVersion: finaliseVersion(context),
  listVersions: listVersions(context),
  getVersion: getVersion(context),
  downloadVersion: downloadVersion(context),
})
