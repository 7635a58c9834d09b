import { BackdialError } from '../core/errors.ts';
import type { Exposure, ExposureRequest, Exposures } from '../index.ts';
import { type ApiRoute, type ValueProblem, valueProblems } from '../net/api-route.ts';
import type { ExposureFile } from './exposure-file.ts';
import { EXPOSURE_PROPERTIES, EXPOSURE_SCHEMA, exposureForm, readExposure } from './exposure-form.ts';

const LIST_SCHEMA = {
  type: 'array',
  items: {
    type: 'object',
    required: [...Object.keys(EXPOSURE_PROPERTIES), 'id', 'type', 'status', 'message'],
    properties: {
      id: { type: 'string' },
      ...EXPOSURE_PROPERTIES,
      type: { enum: ['LOCAL', 'REMOTE'] },
      status: { enum: ['PENDING', 'COMPLETE', 'ERROR'] },
      message: { type: 'string', description: 'why it is not complete' },
    },
  },
} as const;

const TEXT = { schema: { type: 'string' }, type: 'text/plain' } as const;

/** The endpoints of features 6.3, beside `/health`. What they change is kept in `file`. */
export function exposeRoutes(exposures: Exposures, file: ExposureFile): ApiRoute[] {
  return [
    {
      method: 'POST',
      path: '/expose',
      operation: {
        summary: 'Expose a port',
        body: EXPOSURE_SCHEMA,
        responses: {
          200: { description: 'its id', ...TEXT },
          400: { description: 'the body is no JSON' },
          409: { description: 'the port is taken' },
          413: { description: 'the body is too large' },
          422: { description: 'a field is wrong: which, and why' },
        },
      },
      handle: async (request) => {
        const read = readExposure(await request.json());
        if (Array.isArray(read)) return valueProblems(read);
        const id = await add(exposures, read);
        if (typeof id !== 'string') return valueProblems([id]);
        try {
          await file.save(exposures.saved());
        } catch (error) {
          await exposures.remove(id);
          throw error;
        }
        return { text: id };
      },
    },
    {
      method: 'DELETE',
      path: '/expose/{id}',
      operation: {
        summary: 'End an exposure',
        responses: { 200: { description: 'it is ended', ...TEXT }, 404: { description: 'there is none of this id' } },
      },
      handle: async ({ parameters: { id = '' } }) => {
        const saved = exposures.saved().filter((each) => each.id === id);
        if (!(await exposures.remove(id)))
          throw new BackdialError('api-not-found', `no exposure ${JSON.stringify(id)}`);
        try {
          await file.save(exposures.saved());
        } catch (error) {
          // It would be there again after a restart: whoever asks again must find it.
          exposures.restore(saved);
          throw error;
        }
        return { text: 'OK' };
      },
    },
    {
      method: 'GET',
      path: '/list',
      operation: {
        summary: 'All exposures',
        responses: { 200: { description: 'each with its state', schema: LIST_SCHEMA } },
      },
      handle: () => ({ json: exposures.list().map(shown) }),
    },
  ];
}

/** The id; or what is wrong with the server that was named. */
async function add(exposures: Exposures, request: ExposureRequest): Promise<string | ValueProblem> {
  try {
    return await exposures.add(request);
  } catch (error) {
    if (!(error instanceof BackdialError) || error.code !== 'input-invalid') throw error;
    return { field: 'remote_connector_addr', message: error.detail };
  }
}

function shown(exposure: Exposure): object {
  const { id, type, status, message } = exposure;
  const form = exposureForm(exposure);
  return { id, ...form, type: type.toUpperCase(), status: status.toUpperCase(), message };
}
