import type { DatasetDescription } from '@tributary/contracts/dataset-description'
import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { deviceViewOf, selectDevice } from './device-view.ts'

type Described = { datasets: DatasetDescription[]; described_at: Date }

/** One device, with what its owner lets out about its data sets. @throws TributaryError NOT_FOUND */
export const getDevice =
  ({ database }: Pick<Context, 'database'>): Handler<'getDevice'> =>
  async ({ params: { device } }) => {
    const [row, [described]] = await database.read(sql =>
      Promise.all([
        selectDevice(sql, device),
        sql<Described[]>`select datasets, described_at from device_datasets where device = ${device}`,
      ]),
    )
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    const datasetDescriptions =
      described === undefined
        ? null
        : { datasets: described.datasets, describedAt: described.described_at.toISOString() }
    return { ...deviceViewOf(row), datasetDescriptions }
  }
