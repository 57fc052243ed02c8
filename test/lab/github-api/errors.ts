import type { JsonReply } from '../json-server.ts';

/** Thrown by a handler; becomes GitHub's `{message, errors, documentation_url, status}`. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly errors: readonly unknown[] | undefined;

  constructor(status: number, message: string, errors?: readonly unknown[]) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export const notFound = () => new ApiRefusal(404, 'Not Found');

/** 422, as GitHub says that a field is wrong. */
export function invalid(resource: string, field: string, code: string, message?: string): ApiRefusal {
  return new ApiRefusal(422, 'Validation Failed', [
    { resource, field, code, ...(message === undefined ? {} : { message }) },
  ]);
}

export function refusalReply({ status, message, errors }: ApiRefusal): JsonReply {
  return {
    status,
    body: {
      message,
      ...(errors === undefined ? {} : { errors }),
      documentation_url: 'https://docs.github.com/rest',
      status: String(status),
    },
  };
}
